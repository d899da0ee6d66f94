package cli

type staleCmd struct {
	List    staleListCmd    `cmd:"" help:"List jobs that are stuck: since when, and which detector finds them; and work that nobody would come to."`
	Recover staleRecoverCmd `cmd:"" help:"Take stuck jobs back at once, as the stale monitor does."`
}

// Help says what both have in common.
func (staleCmd) Help() string {
	return "A job is stuck when its worker is retired or without a lease, or when it makes no progress for STALE_THRESHOLD_MINUTES. " +
		"The stale monitor takes such jobs back by itself; what stays in the list longer than CHECK_INTERVAL_SECONDS has no monitor. " +
		"Orphans are what falls between two chairs: due work that idle workers leave, messages that nobody sends, posts that nobody asks about, books that do not balance.\n\n" +
		examples("directorybolt stale list", "directorybolt stale recover --dry-run")
}
