// Package queuetest is the suite that every transport of queue passes.
package queuetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// Subject is a fresh transport under test. Nobody else uses it.
type Subject struct {
	Queue queue.Queue
	// Put sends a body as another producer would; nil: there are no others.
	Put func(body string)
}

// Run runs the suite of the wake-up half.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.holds(&bed{T: t, Subject: open(t), ctx: ctx})
		})
	}
}

var cases = []struct {
	name  string
	holds func(b *bed)
}{
	{"NothingIsSentWithoutHints", sendsNothing},
	{"EachHintArrivesAsItWasSent", hintsArrive},
	{"ReceiveTakesAtMostAsManyAsAsked", receivesAtMost},
	{"AnEmptyQueueIsNoError", emptyIsNoError},
	{"AWaitingReceiverGetsWhatComes", waitingReceiverGets},
	{"AReceivedMessageIsHidden", receivedIsHidden},
	{"AHiddenMessageComesBack", hiddenComesBack},
	{"AnExtendedMessageStaysHidden", extendedStaysHidden},
	{"AReturnedMessageIsReceivedAgain", returnedIsReceived},
	{"ADeletedMessageIsGone", deletedIsGone},
	{"AStaleReceiptTakesNothingFromItsHolder", staleReceipt},
	{"PoisonArrivesUnharmed", poisonArrives},
	{"ManyAtOnceLoseNothing", manyLoseNothing},
}

// bed is one case.
type bed struct {
	*testing.T
	Subject
	ctx context.Context
}

const (
	brief = time.Second      // the shortest that transports know
	long  = 10 * time.Minute // longer than any case
)

func (b *bed) hint() queue.Outgoing {
	return queue.Outgoing{ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID(), CustomerID: job.NewID(), Priority: 2}}
}

func (b *bed) hints(n int) []queue.Outgoing {
	b.Helper()
	hints := make([]queue.Outgoing, n)
	for i := range hints {
		hints[i] = b.hint()
	}
	return hints
}

// send sends hints, all of which must be accepted.
func (b *bed) send(hints ...queue.Outgoing) {
	b.Helper()
	b.done("send", len(hints), b.Queue.Send(b.ctx, hints...))
}

// done checks that each of n was answered, and well.
func (b *bed) done(act string, n int, errs []error) {
	b.Helper()
	if len(errs) != n {
		b.Fatalf("%s: %d answers to %d", act, len(errs), n)
	}
	for i, err := range errs {
		if err != nil {
			b.Errorf("%s, entry %d: %v", act, i, err)
		}
	}
}

// receive asks until n messages came, and decodes them.
func (b *bed) receive(n int, hide time.Duration) []queue.Message {
	b.Helper()
	var got []queue.Message
	for len(got) < n {
		ms, err := b.Queue.Receive(b.ctx, min(n-len(got), 10), 2*time.Second, hide)
		if err != nil {
			b.Fatalf("receive: %v", err)
		}
		got = append(got, ms...)
	}
	return got
}

// nothing checks that nothing is received within two seconds.
func (b *bed) nothing(when string) {
	b.Helper()
	ms, err := b.Queue.Receive(b.ctx, 10, 2*time.Second, long)
	if err != nil {
		b.Fatalf("receive: %v", err)
	}
	for _, m := range ms {
		b.Errorf("%s, %s was received", when, m.Body)
	}
}

func (b *bed) jobOf(m queue.Message) uuid.UUID {
	b.Helper()
	h, err := queue.Decode(m.Body)
	if err != nil {
		b.Fatalf("%s: %v", m.Body, err)
	}
	return h.JobID
}
