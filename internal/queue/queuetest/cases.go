package queuetest

import (
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/queue"
)

func sendsNothing(b *bed) {
	b.done("send nothing", 0, b.Queue.Send(b.ctx))
	b.done("delete nothing", 0, b.Queue.Delete(b.ctx))
	b.done("extend nothing", 0, b.Queue.Extend(b.ctx, long))
	b.done("return nothing", 0, b.Queue.Return(b.ctx, 0))
	if b.Queue.Name() == "" {
		b.Error("the queue has no name")
	}
}

func hintsArrive(b *bed) {
	sent := b.hints(25) // three batches
	from := time.Now()
	b.send(sent...)
	got := map[uuid.UUID]queue.Message{}
	for _, m := range b.receive(len(sent), long) {
		got[b.jobOf(m)] = m
	}
	for _, s := range sent {
		m, ok := got[s.Hint.JobID]
		if !ok {
			b.Errorf("the hint of %s did not arrive", s.Hint.JobID)
			continue
		}
		if m.ID == "" || m.Receipt == "" || m.Receives < 1 || m.SentAt.Before(from.Add(-time.Minute)) || m.ReceivedAt.Before(from) {
			b.Errorf("message %+v", m)
		}
	}
}

func receivesAtMost(b *bed) {
	b.send(b.hints(5)...)
	ms, err := b.Queue.Receive(b.ctx, 2, 2*time.Second, long)
	if err != nil || len(ms) == 0 || len(ms) > 2 {
		b.Errorf("%d messages of at most 2, %v", len(ms), err)
	}
}

func emptyIsNoError(b *bed) {
	ms, err := b.Queue.Receive(b.ctx, 10, brief, long)
	if err != nil || len(ms) != 0 {
		b.Errorf("%d messages from an empty queue, %v", len(ms), err)
	}
}

func waitingReceiverGets(b *bed) {
	hint := b.hint()
	var sender sync.WaitGroup
	sender.Go(func() {
		time.Sleep(300 * time.Millisecond) // most likely the receiver waits by now; if not, the case is only easier
		b.send(hint)
	})
	begun := time.Now()
	ms, err := b.Queue.Receive(b.ctx, 10, 20*time.Second, long)
	sender.Wait()
	if err != nil || len(ms) != 1 {
		b.Fatalf("%d messages, %v", len(ms), err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		b.Errorf("the receiver learned of it after %s, when its time was over", took)
	}
}

func receivedIsHidden(b *bed) {
	b.send(b.hint())
	b.receive(1, long)
	b.nothing("while it was hidden")
}

func hiddenComesBack(b *bed) {
	b.send(b.hint())
	first := b.receive(1, brief)[0]
	again := b.receive(1, long)[0]
	if again.ID != first.ID || again.Receives <= first.Receives {
		b.Errorf("%+v came back as %+v", first, again)
	}
}

func extendedStaysHidden(b *bed) {
	b.send(b.hint())
	ms := b.receive(1, 5*time.Second)
	b.done("extend", 1, b.Queue.Extend(b.ctx, long, ms...))
	until := ms[0].ReceivedAt.Add(6 * time.Second)
	for time.Now().Before(until) {
		b.nothing("while it was extended")
	}
	b.done("delete", 1, b.Queue.Delete(b.ctx, ms...))
}

func returnedIsReceived(b *bed) {
	b.send(b.hints(2)...)
	first := b.receive(2, long)
	b.done("return", 2, b.Queue.Return(b.ctx, 0, first...))
	for _, m := range b.receive(2, long) {
		if m.Receives < 2 {
			b.Errorf("a returned message says that it was received %d times", m.Receives)
		}
	}
}

func deletedIsGone(b *bed) {
	b.send(b.hints(12)...)
	ms := b.receive(12, brief)
	b.done("delete", 12, b.Queue.Delete(b.ctx, ms...))
	b.nothing("after it was deleted")
	for _, err := range b.Queue.Delete(b.ctx, ms...) {
		if err != nil && !errors.Is(err, queue.ErrGone) {
			b.Errorf("delete once more: %v", err)
		}
	}
}

func staleReceipt(b *bed) {
	b.send(b.hint())
	stale := b.receive(1, brief)
	held := b.receive(1, long)
	for _, errs := range [][]error{b.Queue.Extend(b.ctx, brief, stale...), b.Queue.Return(b.ctx, 0, stale...)} {
		if len(errs) != 1 || errs[0] != nil && !errors.Is(errs[0], queue.ErrGone) {
			b.Errorf("with a stale receipt: %v", errs)
		}
	}
	b.nothing("while another held it")
	b.done("delete", 1, b.Queue.Delete(b.ctx, held...))
}

func poisonArrives(b *bed) {
	if b.Put == nil {
		return // the transport has no producers but us, and we send no poison
	}
	const body = "<!channel> `order 5` \"\\ é\n"
	b.Put(body)
	m := b.receive(1, long)[0]
	if string(m.Body) != body {
		b.Errorf("got %q, want %q", m.Body, body)
	}
	if _, err := queue.Decode(m.Body); !queue.IsPoison(err) {
		b.Errorf("got %v, want a poison message", err)
	}
}

func manyLoseNothing(b *bed) {
	const senders, each, receivers = 4, 25, 3
	var at sync.WaitGroup
	sent := make([][]queue.Outgoing, senders)
	for i := range sent {
		sent[i] = b.hints(each)
		at.Go(func() { b.send(sent[i]...) })
	}
	var mu sync.Mutex
	got := map[uuid.UUID]int{}
	for range receivers {
		at.Go(func() {
			for empty := 0; empty < 2; {
				ms, err := b.Queue.Receive(b.ctx, 10, 2*time.Second, long)
				if err != nil {
					b.Errorf("receive: %v", err)
					return
				}
				if len(ms) == 0 {
					empty++
				}
				b.done("delete", len(ms), b.Queue.Delete(b.ctx, ms...))
				mu.Lock()
				for _, m := range ms {
					if h, err := queue.Decode(m.Body); err == nil {
						got[h.JobID]++
					}
				}
				mu.Unlock()
			}
		})
	}
	at.Wait()
	for _, hints := range sent {
		for _, h := range hints {
			if got[h.Hint.JobID] != 1 {
				b.Errorf("the hint of %s was received %d times", h.Hint.JobID, got[h.Hint.JobID])
			}
		}
	}
}
