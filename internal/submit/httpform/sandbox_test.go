package httpform

import (
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// firstTry is what a single Submit to a behaviour of the sandbox comes to, and what
// the lookup says right after it.
type firstTry struct {
	state    directory.SubmissionState
	class    string
	need     string
	intents  int32
	accepted int // by the sandbox's own count; -1: once at most, at a moment of its own
	lookup   submit.Presence
}

var firstTries = func() map[string]firstTry {
	listed := firstTry{state: directory.Submitted, intents: 1, accepted: 1, lookup: submit.Found}
	waits := func(need string, intents int32) firstTry {
		return firstTry{state: directory.NeedsAction, need: need, intents: intents, lookup: submit.Absent}
	}
	failed := func(intents int32, lookup submit.Presence) firstTry {
		return firstTry{state: directory.FailedState, class: directory.ClassPermanent, intents: intents, lookup: lookup}
	}
	open := func(class string, accepted int, lookup submit.Presence) firstTry {
		return firstTry{class: class, intents: 1, accepted: accepted, lookup: lookup}
	}
	out := map[string]firstTry{
		"meta_refresh":        open(directory.ClassInDoubt, 1, submit.Found),
		"redirect_loop":       open(directory.ClassInDoubt, 1, submit.Found),
		"moved_307":           failed(1, submit.Unknown),
		"moved_away_307":      failed(1, submit.Unknown),
		"words_before_fails":  open(directory.ClassInDoubt, 0, submit.Unknown),
		"endless_page":        failed(0, submit.Absent),
		"error_once":          open(directory.ClassInDoubt, 0, submit.Absent),
		"error_for_ever":      open(directory.ClassInDoubt, 0, submit.Unknown),
		"error_after_listing": open(directory.ClassInDoubt, 1, submit.Found),
		"throttled_once":      open(directory.ClassRefused, 0, submit.Absent),
		"unavailable_once":    open(directory.ClassRefused, 0, submit.Absent),
		"cut_with_lookup":     open(directory.ClassInDoubt, 1, ""), // found a little later
		"cut_without_lookup":  open(directory.ClassInDoubt, 1, submit.Unknown),
		"cut_before_body":     open(directory.ClassInDoubt, 0, submit.Absent),
		"half_answer":         open(directory.ClassInDoubt, 1, submit.Found),
		"late_answer":         open(directory.ClassInDoubt, -1, ""),
		"paced":               open(directory.ClassInDoubt, 0, submit.Absent),
		"unreachable":         {class: directory.ClassNotSent, lookup: submit.Unknown},
		"captcha":             waits(directory.NeedCaptcha, 0),
		"captcha_declared":    waits(directory.NeedCaptcha, 0),
		"challenge":           waits(directory.NeedCaptcha, 0),
		"login_wall":          waits(directory.NeedLogin, 0),
		"login_declared":      waits(directory.NeedLogin, 0),
		"payment":             waits(directory.NeedPayment, 1),
		"paid_declared":       waits(directory.NeedPayment, 0),
		"email_confirmation":  waits(directory.NeedEmailVerification, 1),
		"terms_forbid":        waits(directory.NeedManual, 0),
		"rejects":             {state: directory.Rejected, intents: 1, lookup: submit.Absent},
		"validation_error":    failed(1, submit.Absent),
		"form_gone":           failed(0, submit.Absent),
		"robots":              {state: directory.Skipped, class: directory.ClassRobots, lookup: submit.Absent},
		"moderated":           {state: directory.Submitted, intents: 1, accepted: 1}, // found a little later
		"moderated_cut":       open(directory.ClassInDoubt, 1, ""),                   // found a little later
	}
	for _, name := range []string{
		"plain", "csrf", "three_steps", "selects", "upload_required", "upload_optional", "labels", "inferred", "honeypot", "many_forms", "form_moved", "base_href",
		"latin1", "windows1251", "accept_charset", "found_302", "see_other_303", "json", "created_201", "words_before", "huge_page", "slow", "duplicates",
	} {
		out[name] = listed
	}
	return out
}()

func TestSubmitToEveryBehaviourOfTheSandbox(t *testing.T) {
	var names []string
	for _, b := range sandbox.Behaviours {
		names = append(names, b.Name)
	}
	box, err := sandbox.Start(t.Context(), sandbox.Config{Count: len(names), Behaviours: names, Scale: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	m := newMethod(t)
	for i, d := range box.Catalog() {
		t.Run(names[i], func(t *testing.T) {
			want, known := firstTries[names[i]]
			if !known {
				t.Fatal("the sandbox has a behaviour that this table does not know")
			}
			checkFirstTry(t, box, m, d, want)
		})
	}
}

func checkFirstTry(t *testing.T, box *sandbox.Sandbox, m *Method, d directory.Directory, want firstTry) {
	var in intent
	r, err := m.Submit(t.Context(), submit.Request{Directory: &d, Business: acme(t), Intend: in.intend})
	if err != nil {
		t.Fatal(err)
	}
	o := r.Outcome
	if o.State != want.state || o.Class != want.class || o.Need != want.need {
		t.Errorf("Submit = state %q class %q need %q (%s), want %+v", o.State, o.Class, o.Need, o.Reason, want)
	}
	if o.State != directory.Submitted && o.Reason == "" {
		t.Error("the outcome has no reason")
	}
	if got := in.calls.Load(); got != want.intents {
		t.Errorf("%d intents, want %d", got, want.intents)
	}
	if o.Class == directory.ClassRefused && r.RetryAfter <= 0 {
		t.Error("the host's Retry-After is lost")
	}
	if o.State == directory.Submitted {
		checkEvidence(t, r)
	}
	if want.lookup != "" {
		f := m.Lookup(t.Context(), &d, acme(t))
		if f.Presence != want.lookup {
			t.Errorf("Lookup = %s (%s), want %s", f.Presence, f.Reason, want.lookup)
		}
		if f.Presence == submit.Found && (f.Evidence == nil || !f.Evidence.Probe || !strings.HasPrefix(f.ListingURL, "http://")) {
			t.Errorf("Lookup found it with evidence %+v at %q", f.Evidence, f.ListingURL)
		}
	}
	record, _ := box.Witness().Directory(d.Slug)
	if accepted := len(record.Accepted); len(record.Posts) > max(1, len(d.Form.Steps)) || accepted > 1 || want.accepted >= 0 && accepted != want.accepted {
		t.Errorf("the sandbox accepted %d times in %d posts, want %d", accepted, len(record.Posts), want.accepted)
	}
}

func checkEvidence(t *testing.T, r submit.Result) {
	t.Helper()
	e := r.Outcome.Evidence
	if e == nil || r.Page == nil {
		t.Fatalf("success without evidence: %+v", r)
	}
	if e.Rule == "" || e.Excerpt == "" || len(e.Excerpt) > maxExcerpt || e.URL != r.Page.URL || e.Status != r.Page.Status || e.Size != int64(len(r.Page.Body)) || e.At.IsZero() {
		t.Errorf("evidence = %+v", e)
	}
	if !r.HostOK {
		t.Error("a host that listed us counts as broken")
	}
}
