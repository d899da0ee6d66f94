package alert

import "github.com/directorybolt/directorybolt/internal/job"

// Unreadable is the kind of a notice that nobody can read. It is told all the same.
const Unreadable = "unreadable"

// nature is what is peculiar to a kind.
type nature struct {
	severity Severity
	passing  bool   // it has happened, and is over; nobody will say so
	one      string // what it is about
	many     string
}

var natures = map[string]nature{
	job.AlertDeadLetters:     {Page, false, "dead letter", "dead letters"},
	job.AlertStaleRecovered:  {Warn, true, "job taken back from a worker that was lost", "jobs taken back from workers that were lost"},
	job.AlertStorm:           {Page, false, "storm: too many workers gone at once", "storm: too many workers gone at once"},
	job.AlertOrphans:         {Warn, false, "orphan that nobody would come to", "orphans that nobody would come to"},
	job.AlertMonitorSilent:   {Page, false, "a monitor is silent", "a monitor is silent"},
	job.AlertQueueBlind:      {Page, false, "the dead letter queue cannot be looked at", "the dead letter queue cannot be looked at"},
	job.AlertLettersExpiring: {Page, false, "dead letter about to expire", "dead letters about to expire"},
	job.AlertBooks:           {Page, false, "the books do not balance", "the books do not balance"},
	job.AlertHealth:          {Warn, false, "a service is not up", "services are not up"},
	job.AlertLimiter:         {Warn, false, "the rate limiter works without its store", "the rate limiter works without its store"},
	job.AlertShortfall:       {Info, true, "order with fewer directories than bought", "orders with fewer directories than bought"},
	job.AlertChannelDown:     {Page, false, "an alert channel is down", "an alert channel is down"},
	Unreadable:               {Warn, true, "notice that nobody can read", "notices that nobody can read"},
}

// natureOf is that of a kind, also of one that another version tells of.
func natureOf(kind string) nature {
	if n, known := natures[kind]; known {
		return n
	}
	return nature{Warn, true, kind, kind}
}
