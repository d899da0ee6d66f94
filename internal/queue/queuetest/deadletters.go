package queuetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// Dead is a fresh dead letter queue under test.
type Dead struct {
	Letters queue.DeadLetters
	Put     func(body string) // sends a body as somebody else would
}

// RunDeadLetters runs the suite of the dead letter half.
func RunDeadLetters(t *testing.T, open func(t *testing.T) Dead) {
	for _, c := range deadCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.holds(&deadBed{T: t, Dead: open(t), ctx: ctx})
		})
	}
}

var deadCases = []struct {
	name  string
	holds func(b *deadBed)
}{
	{"DepthCountsWhatIsLookedAt", depthCounts},
	{"ALookSeesEverythingOnceAndSaysSo", lookSeesAll},
	{"ASampleIsSaidToBeOne", sampleIsSaid},
	{"ReturnedLettersAreThereForTheNextLook", returnedAreThere},
	{"DeletedLettersAreGone", deletedLettersAreGone},
	{"ALetterTellsItsReasonAndWhenItExpires", letterTells},
	{"WhatNoTransportCarriesIsLeftOut", nastyNotes},
	{"TooManyNotesAreRefused", tooManyNotes},
	{"PoisonIsALetterWithoutAJob", poisonLetter},
}

type deadBed struct {
	*testing.T
	Dead
	ctx context.Context
}

func (b *deadBed) bury(n int) []queue.Burial {
	b.Helper()
	buried := make([]queue.Burial, n)
	for i := range buried {
		buried[i] = queue.Burial{ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID(), Priority: 1}, Reason: "no"}
		if err := b.Letters.Bury(b.ctx, buried[i]); err != nil {
			b.Fatal(err)
		}
	}
	return buried
}

func (b *deadBed) look(most int) queue.Sample {
	b.Helper()
	s, err := b.Letters.Look(b.ctx, most, long)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *deadBed) depth(want int64) queue.Depth {
	b.Helper()
	d, err := b.Letters.Depth(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	if d.Total() != want {
		b.Errorf("depth %+v, want %d in all", d, want)
	}
	return d
}

func (b *deadBed) none(errs []error) {
	b.Helper()
	if err := errors.Join(errs...); err != nil {
		b.Error(err)
	}
}

func depthCounts(b *deadBed) {
	b.depth(0)
	b.bury(3)
	if d := b.depth(3); d.Visible != 3 {
		b.Errorf("depth %+v, want 3 visible", d)
	}
	b.look(2)
	if d := b.depth(3); d.Visible != 1 || d.InFlight != 2 {
		b.Errorf("depth %+v, want 2 in flight", d)
	}
}

func lookSeesAll(b *deadBed) {
	want := map[job.ID]int{}
	for _, l := range b.bury(23) {
		want[l.Hint.JobID]++
	}
	s := b.look(1000)
	got := map[job.ID]int{}
	for _, l := range s.Letters {
		got[l.Hint.JobID]++
	}
	if d := cmp.Diff(want, got); d != "" || !s.Complete {
		b.Errorf("complete %v, -want +got\n%s", s.Complete, d)
	}
	if hidden := b.look(1000); len(hidden.Letters) != 0 || !hidden.Complete {
		b.Errorf("%d letters were seen twice", len(hidden.Letters))
	}
}

func sampleIsSaid(b *deadBed) {
	b.bury(3)
	if s := b.look(2); len(s.Letters) != 2 || s.Complete {
		b.Errorf("%d letters, complete %v", len(s.Letters), s.Complete)
	}
}

func returnedAreThere(b *deadBed) {
	b.bury(12)
	b.none(b.Letters.Return(b.ctx, b.look(100).Letters...))
	s := b.look(100)
	if len(s.Letters) != 12 {
		b.Errorf("%d letters after all 12 were given back", len(s.Letters))
	}
	for _, l := range s.Letters {
		if l.Receives < 2 {
			b.Errorf("a letter looked at twice says %d receives", l.Receives)
		}
	}
}

func deletedLettersAreGone(b *deadBed) {
	b.bury(12)
	ls := b.look(100).Letters
	b.none(b.Letters.Delete(b.ctx, ls[:11]...))
	b.none(b.Letters.Return(b.ctx, ls[11:]...))
	b.depth(1)
	if s := b.look(100); len(s.Letters) != 1 || s.Letters[0].ID != ls[11].ID {
		b.Errorf("%d letters are left, want the last", len(s.Letters))
	}
}

func letterTells(b *deadBed) {
	want := queue.Burial{
		ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID(), CustomerID: job.NewID(), Priority: 3},
		Reason: "the form is gone", Notes: map[string]string{"class": "permanent", "attempts": "5"},
	}
	if err := b.Letters.Bury(b.ctx, want); err != nil {
		b.Fatal(err)
	}
	l := b.look(1).Letters[0]
	if l.Hint != want.Hint || l.Poison != nil {
		b.Errorf("hint %+v, poison %v", l.Hint, l.Poison)
	}
	attributes := map[string]string{queue.AttributeReason: want.Reason, queue.AttributeJob: want.Hint.JobID.String(), "class": "permanent", "attempts": "5"}
	if d := cmp.Diff(attributes, l.Attributes); d != "" {
		b.Errorf("-want +got\n%s", d)
	}
	retention, err := b.Letters.Retention(b.ctx)
	if err != nil || retention < 24*time.Hour {
		b.Errorf("retention %s, %v", retention, err)
	}
	if age := time.Since(l.SentAt); age < -time.Minute || age > time.Hour || !l.Expires.Equal(l.SentAt.Add(retention)) {
		b.Errorf("sent at %s, expires at %s", l.SentAt, l.Expires)
	}
}

func nastyNotes(b *deadBed) {
	err := b.Letters.Bury(b.ctx, queue.Burial{
		ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID()}, Reason: "a\x00b\x1b\uFFFE<!channel> `x` é 🎂\xff",
		Notes: map[string]string{"empty": "", "nulls": "\x00\x00", "long": strings.Repeat("é", 1<<19)},
	})
	if err != nil {
		b.Fatal(err)
	}
	a := b.look(1).Letters[0].Attributes
	if got, want := a[queue.AttributeReason], "ab<!channel> `x` é 🎂"; got != want {
		b.Errorf("reason %q, want %q", got, want)
	}
	if long := a["long"]; long == "" || strings.Trim(long, "é") != "" {
		b.Errorf("a long note of %d bytes was cut in a letter", len(long))
	}
}

func tooManyNotes(b *deadBed) {
	notes := map[string]string{}
	for _, name := range strings.Split("abcdefghijk", "") {
		notes[name] = "x"
	}
	if err := b.Letters.Bury(b.ctx, queue.Burial{ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID()}, Notes: notes}); !errors.Is(err, queue.ErrRefused) {
		b.Errorf("got %v, want %v", err, queue.ErrRefused)
	}
}

func poisonLetter(b *deadBed) {
	b.Put("order 5")
	l := b.look(1).Letters[0]
	if l.Poison == nil || l.Hint != (queue.Hint{}) || string(l.Body) != "order 5" {
		b.Errorf("letter %+v", l)
	}
}
