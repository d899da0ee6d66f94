package sqs_test

import (
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

func TestAMoveBringsPoisonBackToItsQueue(t *testing.T) {
	t.Parallel()
	for _, e := range sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Moves }) {
		t.Run(e.Name, func(t *testing.T) {
			s := e.Start(t)
			q := s.Pair(1)
			c := open(t, s.Endpoint)
			source, dead := c.Queue(q.URL), c.DeadLetters(q.DLQ)
			s.Put(q.URL, "order 5")
			for s.Attributes(q.DLQ)["ApproximateNumberOfMessages"] != "1" { // until it was received too often
				if _, err := source.Receive(t.Context(), 1, time.Second, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			look, err := dead.Look(t.Context(), 10, time.Second)
			if err != nil || len(look.Letters) != 1 {
				t.Fatalf("%d letters, %v", len(look.Letters), err)
			}
			if l := look.Letters[0]; l.Poison == nil || l.Source != source.Name() {
				t.Errorf("letter %+v, want poison from %s", l, source.Name())
			}
			dead.Return(t.Context(), look.Letters...)

			if _, err := dead.Move(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			ms, err := source.Receive(t.Context(), 10, 20*time.Second, time.Minute)
			if err != nil || len(ms) != 1 || string(ms[0].Body) != "order 5" {
				t.Fatalf("the queue has %+v, %v", ms, err)
			}
			moves, err := dead.Moves(t.Context())
			if err != nil || len(moves) != 1 || moves[0].State == "" || moves[0].StartedAt.IsZero() {
				t.Errorf("moves %+v, %v", moves, err)
			}
		})
	}
}

func TestAMoveCanBeCancelled(t *testing.T) {
	t.Parallel()
	for _, e := range sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Moves }) {
		t.Run(e.Name, func(t *testing.T) {
			s := e.Start(t)
			q := s.Pair(1)
			dead := open(t, s.Endpoint).DeadLetters(q.DLQ)
			for range 20 {
				s.Put(q.DLQ, "order 5")
			}
			handle, err := dead.Move(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dead.CancelMove(t.Context(), handle); err != nil {
				t.Fatal(err)
			}
			if left := s.Left(q.DLQ); left == 0 {
				t.Error("everything was moved all the same")
			}
			if _, err := dead.CancelMove(t.Context(), "no such handle"); err == nil {
				t.Error("a move that there is not was cancelled")
			}
		})
	}
}
