package cli

import (
	"fmt"
	"strings"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// orderBooks are the sums of one order. They balance when every directory that was
// bought is accounted for.
type orderBooks struct {
	quota     int
	states    map[directory.SubmissionState]int
	replaced  int
	shortfall int
}

func booksOf(subs []directory.Submission, j job.Job) orderBooks {
	b := orderBooks{quota: j.Quota, shortfall: j.Shortfall, states: map[directory.SubmissionState]int{}}
	for _, s := range subs {
		b.states[s.State]++
		if s.Replaced {
			b.replaced++
		}
	}
	return b
}

// sum is what quota must equal.
func (b orderBooks) sum() int {
	n := b.shortfall - b.replaced
	for _, of := range b.states {
		n += of
	}
	return n
}

func (b orderBooks) balanced() bool { return b.sum() == b.quota }

// done counts the directories that need no more work of the order.
func (b orderBooks) done() int {
	return b.sum() - b.shortfall - b.states[directory.Planned] - b.states[directory.Submitting]
}

// String is the equation: "50 = 41 submitted + 4 failed + …".
func (b orderBooks) String() string {
	if len(b.states) == 0 && b.shortfall == 0 {
		return fmt.Sprintf("%d not planned yet", b.quota)
	}
	var terms []string
	for _, s := range directory.SubmissionStates {
		if n := b.states[s]; n > 0 {
			terms = append(terms, fmt.Sprintf("%d %s", n, s))
		}
	}
	if b.shortfall > 0 {
		terms = append(terms, fmt.Sprintf("%d shortfall", b.shortfall))
	}
	text := strings.Join(terms, " + ")
	if b.replaced > 0 {
		text += fmt.Sprintf(" − %d replaced", b.replaced)
	}
	equals := "="
	if !b.balanced() {
		equals = "≠"
	}
	return fmt.Sprintf("%d %s %s", b.quota, equals, text)
}
