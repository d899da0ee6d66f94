package httpform

import (
	"fmt"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// verdict ends a submission. It travels as an error to where Submit returns it as
// a result.
type verdict struct{ submit.Result }

func (v *verdict) Error() string {
	return fmt.Sprintf("%s %s: %s", v.Outcome.State, v.Outcome.Class, v.Outcome.Reason)
}

// ends makes a verdict on a host that works.
func ends(o directory.Outcome) *verdict {
	o.Reason = shorten(squeeze(o.Reason), maxReason)
	return &verdict{submit.Result{Outcome: o, HostOK: true}}
}

// maxReason bounds a reason in characters; parts of it were written by strangers.
const maxReason = 400

// permanent is a submission that failed for good, with nothing accepted.
func permanent(format string, args ...any) *verdict {
	return ends(directory.Outcome{State: directory.FailedState, Class: directory.ClassPermanent, Reason: fmt.Sprintf(format, args...)})
}

// needs is a submission that waits for a person.
func needs(kind, format string, args ...any) *verdict {
	return ends(directory.Outcome{State: directory.NeedsAction, Need: kind, Reason: fmt.Sprintf(format, args...)})
}

// open is a submission that is not decided; class says why.
func open(class, format string, args ...any) *verdict {
	return ends(directory.Outcome{Class: class, Reason: fmt.Sprintf(format, args...)})
}

// doubt is an effect of which nobody can tell what came of it.
func doubt(format string, args ...any) *verdict {
	return open(directory.ClassInDoubt, format, args...)
}

// on keeps the page that led to the verdict.
func (v *verdict) on(page *view) *verdict {
	v.Page = page.kept()
	return v
}

// sick says that the host did not work.
func (v *verdict) sick() *verdict {
	v.HostOK = false
	return v
}

// afterSending turns a verdict that presumes that nothing was sent into doubt. A
// need stays: a person looks, and nothing is sent again.
func (v *verdict) afterSending() *verdict {
	o := &v.Outcome
	switch {
	case o.State == "" && o.Class != directory.ClassInDoubt, o.State == directory.FailedState, o.State == directory.Skipped:
		o.State, o.Class = "", directory.ClassInDoubt
		o.Reason = shorten("a step of the form was sent before: "+o.Reason, maxReason)
	}
	return v
}
