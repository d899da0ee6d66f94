package deadletter

import (
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
)

// NextStep says what to do about an open letter, with the command that does it.
func NextStep(l job.Letter) string {
	if l.JobID == (job.ID{}) {
		return fmt.Sprintf("find who sends such messages; then: directorybolt dlq purge %s --reason TEXT", l.ID)
	}
	redrive := fmt.Sprintf("directorybolt dlq redrive %s --reason TEXT", l.JobID)
	if l.Redrives > 0 {
		return fmt.Sprintf("it failed again after %d redrives, so the cause is still there: directorybolt jobs history %s", l.Redrives, l.JobID)
	}
	switch l.Class {
	case job.ClassTransient:
		return "every try failed; see whether what it needs is back, then: " + redrive
	case job.ClassCrash:
		return "its process died or hung each time; see the worker's log of that moment, then: " + redrive
	case job.ClassPanic:
		return "its handler has a bug; deploy the mend, then: " + redrive
	case job.ClassUnknownKind:
		return fmt.Sprintf("no worker has a handler for %s; deploy one that has, then: %s", l.Kind, redrive)
	}
	return "no retry can mend it by itself; mend the cause, then: " + redrive
}
