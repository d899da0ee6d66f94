package sqlite

// statements has a field for each statement of queries/*.sql.
type statements struct {
	// jobs.sql, events.sql and submissions.sql, as many ask
	HastenJob, Line, OrdersOf, ListEvents, CountSubmissions, CountDone string
	// alerts.sql
	UnreadNotices, LatestAlerts, DueAlerts, GetAlert, SaveAlert, ListAlerts, CountUnresolved string
	CountUnresolvedInLane, PendingAlerts, PruneAlerts                                        string
	// books.sql
	OrdersTouched, OrdersPaid, JudgeOrders, UnpaidOrders, Account, AtRisk, Protected string
	// canaries.sql
	Arrive, ListArrivals, PruneArrivals string
	// customers.sql
	EnsureCustomer, CustomerByEmail, GetCustomer, LockCustomer, CustomerJobs, CustomerLetters, CustomerIdentities string
	CustomerEvidence, AddErasedEvidence, ListErasedEvidence, HeldEvidence, PruneErasedEvidence                    string
	EraseSubmissions, EraseJobs, EraseEvents, EraseLetters, EraseNotices                                          string
	EraseAlerts, EraseDeliveries, LetterOfErased                                                                  string
	EraseKeys, EndCustomerSessions, EraseRequests, ErasePauses, EraseCustomer                                     string
	// deliveries.sql
	AddDelivery, DropWaiting, RecentDeliveries, LaneWaits, NextDelivery, SendableDelivery, GetDelivery, SaveDelivery string
	DropParked, ListUndelivered, GetChannel, SaveChannel, ListBacklogs, PruneDeliveries, AlertsDelivered             string
	// events.sql
	RecordEvents, JobEvents, PruneJobEvents, PruneEvents string
	// figures.sql
	OrdersPlaced, OrdersCompleted, CountEvents, JobsFailed string
	// findings.sql
	FindUnknownOwners, FindUnclaimed, FindUnsent, FindHintsWithoutJob, FindJobsWithoutHint, FindUndecided string
	RetireUnknownOwners, DropHints, HintAgain, EndUndecided                                               string
	NoteFindings, ForgetFinding, ListFindings, TakeTurn                                                   string
	// jobs.sql
	EnqueueJobs, EnqueuedBefore, ClaimGuard, ClaimJobs, ClaimOldest, ClaimQuarantined  string
	HasQuarantined, CompleteJobs, RunningJob, FailJob, ReleaseJobs, SnoozeJob          string
	CancelRunningJob, ProgressJob, RecoverableJobs, RecoverJobs, CancelJob, RedriveJob string
	StalledJobs, RecoverStalledJobs, StaleJobs, JobsAhead                              string
	GetJob, ListJobs, ListJobsOfCustomer, Standings, CountJobs, DueJobs, PrunableJobs  string
	MeasureLoad                                                                        string
	ArchiveJobs, PruneJobs, PruneArchive, StoreNow                                     string
	// letters.sql
	AddLetter, ListLetters, GetLetter, CountLetters, GroupLetters, DecidableLetter, RedriveLetters string
	ResolveLetters, UnsettledLetters, SettleLetters, StaleLetters, ClosedGroups, CloseGroup        string
	SignaturesInUse, RenameOpenLetters, RenameUntoldLetters                                        string
	TakeLetters, MarkLettersCopied, NoteSightings, KnownMessage, KeepMessage, ExpiringLetters      string
	WarnExpiring, ExpireLetters, RenewCopies, PruneLetters, AddJournal, ListJournal                string
	RedriveOutcomes, WarnedLetters, CloseWarnings                                                  string
	// keys.sql
	AddKey, GetKey, ListKeys, RevokeKey, EndSessionsOfKey, KeysUsed string
	AddSession, EndOldSessions, SessionKey, EndSession              string
	BeginRequest, EarlierRequest, AnswerRequest, FreeRequest        string
	PruneRequests                                                   string
	// limits.sql
	ReadRateLimit, WriteRateLimit, SweepRateLimits, KeepSecret, ReadSecret string
	// monitors.sql
	RecordPass, LeavePasses, ListPasses, PrunePasses string
	// outbox.sql
	AddMessages, TellNotice, TakeMessages, HideMessages, MarkMessagesSent, PruneOutbox string
	// pacing.sql
	GetPacing, ReserveTurn, ReportTurn string
	// pauses.sql
	PauseScope, ResumeScope, ListPauses string
	// rollups.sql
	AddFacts, ListRollups, FoldRollups, DropFolded, PruneRollups string
	// submissions.sql
	PlanSubmissions, RecordPlan, ListSubmissions, GetSubmission, HeldDirectories, IntendSubmission string
	SettleSubmission, ObserveSubmission                                                            string
	// storms.sql
	LastStorm, OpenStorm, TurnBreaker, ValueInStorm, PruneStorms string
	// workers.sql
	RegisterWorker, GetWorker, BeatWorker, LostLeases, StrayLeases, RetireWorker, RetireExpiredWorkers string
	TallyWorkers, ListWorkers, PruneWorkers                                                            string
}
