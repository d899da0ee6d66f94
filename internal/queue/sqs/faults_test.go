package sqs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// trouble is a queue behind a proxy that makes trouble.
type trouble struct {
	*testing.T
	server *sqstest.Server
	proxy  *sqstest.Proxy
	queues sqstest.Queues
	queue  *sqs.Queue
	dead   *sqs.DeadLetters
}

func newTrouble(t *testing.T, pair func(s *sqstest.Server) sqstest.Queues) *trouble {
	t.Helper()
	t.Parallel()
	s := sqstest.Can(t, counting)[0].Start(t)
	p := sqstest.NewProxy(t, s)
	q := pair(s)
	c := open(t, p.Endpoint)
	return &trouble{T: t, server: s, proxy: p, queues: q, queue: c.Queue(q.URL), dead: c.DeadLetters(q.DLQ)}
}

func standard(s *sqstest.Server) sqstest.Queues { return s.Pair(100) }
func fifo(s *sqstest.Server) sqstest.Queues     { return s.PairFIFO(100) }

func hints(n int) []queue.Outgoing {
	out := make([]queue.Outgoing, n)
	for i := range out {
		out[i] = queue.Outgoing{ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID()}}
	}
	return out
}

// send sends and checks that everything was accepted.
func (b *trouble) send(out ...queue.Outgoing) {
	b.Helper()
	if err := errors.Join(b.queue.Send(b.Context(), out...)...); err != nil {
		b.Fatal(err)
	}
}

// drain receives until nothing comes, and counts what came by job.
func (b *trouble) drain() map[uuid.UUID]int {
	b.Helper()
	got := map[uuid.UUID]int{}
	for {
		ms, err := b.queue.Receive(b.Context(), 10, time.Second, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		if len(ms) == 0 {
			return got
		}
		for _, m := range ms {
			h, err := queue.Decode(m.Body)
			if err != nil {
				b.Fatal(err)
			}
			got[h.JobID]++
		}
	}
}

// once lets a fault act on the first call of an action.
func once(action string, fault func(c *sqstest.Call)) sqstest.Fault {
	return func(c *sqstest.Call) bool {
		if c.Action != action || c.N > 1 {
			return false
		}
		fault(c)
		return true
	}
}

func TestServerErrorsAndThrottlingAreTriedAgain(t *testing.T) {
	for name, refuse := range map[string]func(c *sqstest.Call){
		"500":           func(c *sqstest.Call) { c.Refuse(500, "InternalError", "we are sorry") },
		"503":           func(c *sqstest.Call) { c.Refuse(503, "ServiceUnavailable", "later") },
		"throttled":     func(c *sqstest.Call) { c.Refuse(400, "RequestThrottled", "too fast") },
		"kms throttled": func(c *sqstest.Call) { c.Refuse(400, "ThrottlingException", "too fast") },
		"cut":           func(c *sqstest.Call) { c.Lose() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTrouble(t, standard)
			b.proxy.Add(once("SendMessageBatch", refuse))
			b.proxy.Add(once("ReceiveMessage", refuse))
			out := hints(3)
			b.send(out...)
			if got := b.drain(); len(got) != 3 {
				t.Errorf("%d of 3 hints arrived", len(got))
			}
			if n := b.proxy.Calls("SendMessageBatch"); n != 2 {
				t.Errorf("%d calls, want the second to be the last", n)
			}
		})
	}
}

func TestALostAnswerDoublesAHintOnAStandardQueueOnly(t *testing.T) {
	for name, c := range map[string]struct {
		pair  func(s *sqstest.Server) sqstest.Queues
		times int
	}{"standard": {standard, 2}, "FIFO": {fifo, 1}} {
		t.Run(name, func(t *testing.T) {
			b := newTrouble(t, c.pair)
			b.proxy.Add(once("SendMessageBatch", func(c *sqstest.Call) { c.Perform(); c.Lose() }))
			out := hints(1)
			b.send(out...)
			if got := b.drain()[out[0].Hint.JobID]; got != c.times {
				t.Errorf("the hint arrived %d times, want %d", got, c.times)
			}
		})
	}
}

// refuseEntries answers a batch as SQS does when a part of it fails: the rest is done.
func refuseEntries(c *sqstest.Call, refused map[string]bool, senderFault bool) {
	c.Change(func(answer map[string]any) {
		var failed, successful []any
		list, _ := answer["Successful"].([]any)
		for _, e := range list {
			if id, _ := e.(map[string]any)["Id"].(string); refused[id] {
				failed = append(failed, map[string]any{"Id": id, "SenderFault": senderFault, "Code": "InternalError", "Message": "not this one"})
				continue
			}
			successful = append(successful, e)
		}
		answer["Failed"], answer["Successful"] = failed, successful
	})
}

func TestOnlyEntriesThatFailedAreSentAgain(t *testing.T) {
	b := newTrouble(t, standard)
	var again [][]map[string]any
	b.proxy.Add(func(c *sqstest.Call) bool {
		if c.Action != "SendMessageBatch" {
			return false
		}
		again = append(again, c.Entries())
		if c.N > 2 {
			return false
		}
		refuseEntries(c, map[string]bool{"1": true, "3": true}, false)
		return true
	})
	b.send(hints(5)...)
	var sizes []int
	for _, entries := range again {
		sizes = append(sizes, len(entries))
	}
	if len(sizes) != 3 || sizes[0] != 5 || sizes[1] != 2 || sizes[2] != 2 {
		t.Errorf("batches of %v entries, want 5, 2, 2", sizes)
	}
}

func TestAnEntryThatIsAtFaultFailsAlone(t *testing.T) {
	b := newTrouble(t, standard)
	b.proxy.Add(once("SendMessageBatch", func(c *sqstest.Call) { refuseEntries(c, map[string]bool{"1": true}, true) }))
	errs := b.queue.Send(t.Context(), hints(3)...)
	if errs[0] != nil || errs[2] != nil || sqs.CodeOf(errs[1]) != "InternalError" {
		t.Errorf("answers %v, want an error for the second alone", errs)
	}
	if n := b.proxy.Calls("SendMessageBatch"); n != 1 {
		t.Errorf("%d calls for an entry that is at fault", n)
	}
}

func TestAFailedBatchFailsNoOther(t *testing.T) {
	b := newTrouble(t, standard)
	b.proxy.Add(func(c *sqstest.Call) bool {
		for _, e := range c.Entries() {
			if e["Id"] == "15" {
				c.Refuse(403, "AccessDeniedException", "not you")
				return true
			}
		}
		return false
	})
	for i, err := range b.queue.Send(t.Context(), hints(25)...) {
		if bad := i >= 10 && i < 20; bad != (err != nil) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

func TestADepthThatCannotBeReadIsAnErrorAndNeverZero(t *testing.T) {
	for name, fault := range map[string]func(c *sqstest.Call){
		"denied":    func(c *sqstest.Call) { c.Refuse(403, "AccessDeniedException", "not you") },
		"no number": func(c *sqstest.Call) { c.Change(func(a map[string]any) { a["Attributes"] = map[string]any{} }) },
		"half of it": func(c *sqstest.Call) {
			c.Change(func(a map[string]any) {
				delete(a["Attributes"].(map[string]any), "ApproximateNumberOfMessagesNotVisible")
			})
		},
		"no answer": func(c *sqstest.Call) { c.Lose() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTrouble(t, standard)
			b.proxy.Add(func(c *sqstest.Call) bool { fault(c); return true })
			if d, err := b.dead.Depth(t.Context()); err == nil {
				t.Errorf("depth %+v and no error", d)
			}
		})
	}
}

func TestALookThatBreaksOffGivesBackWhatItHas(t *testing.T) {
	b := newTrouble(t, standard)
	for range 12 {
		if err := b.dead.Bury(t.Context(), queue.Burial{ID: job.NewID(), Hint: queue.Hint{JobID: job.NewID()}, Reason: "no"}); err != nil {
			t.Fatal(err)
		}
	}
	b.proxy.Add(func(c *sqstest.Call) bool {
		if c.Action != "ReceiveMessage" || c.N == 1 {
			return false
		}
		c.Refuse(403, "AccessDeniedException", "no more")
		return true
	})
	if s, err := b.dead.Look(t.Context(), 100, time.Hour); err == nil {
		t.Fatalf("a look of %d letters that broke off says nothing", len(s.Letters))
	}
	b.proxy.Heal()
	s, err := b.dead.Look(t.Context(), 100, time.Hour)
	if err != nil || len(s.Letters) != 12 {
		t.Errorf("%d of 12 letters are there, %v", len(s.Letters), err)
	}
}

func TestAMessageIsHeldTwelveHoursAtMost(t *testing.T) {
	b := newTrouble(t, standard)
	b.send(hints(2)...)
	var ms []queue.Message
	for len(ms) < 2 {
		got, err := b.queue.Receive(t.Context(), 10, time.Second, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, got...)
	}
	ms[0].ReceivedAt = time.Now().Add(-12*time.Hour + 30*time.Second)
	errs := b.queue.Extend(t.Context(), time.Minute, ms...)
	if !errors.Is(errs[0], queue.ErrHeldLong) || errs[1] != nil {
		t.Errorf("answers %v, want that the first was held long", errs)
	}
}

func TestErrorsSayWhatMendsThem(t *testing.T) {
	for code, want := range map[string]string{
		"AccessDeniedException":       "grant sqs:SendMessage on it to the identity of this process",
		"KmsAccessDenied":             "grant kms:Decrypt, and to send also kms:GenerateDataKey, on the queue's key to the identity of this process, in its policy and in the key's",
		"KmsDisabled":                 "enable the queue's key in KMS, or give the queue another one",
		"QueueDoesNotExist":           "check SQS_QUEUE_URL, SQS_DLQ_URL and AWS_REGION, or make it: directorybolt queue create",
		"UnrecognizedClientException": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
		"SomethingNew":                "",
	} {
		t.Run(code, func(t *testing.T) {
			b := newTrouble(t, standard)
			b.proxy.Add(func(c *sqstest.Call) bool { c.Refuse(400, code, "because"); return true })
			err := b.queue.Send(t.Context(), hints(1)...)[0]
			var e *sqs.Error
			if !errors.As(err, &e) || e.Code != code || e.Remedy() != want {
				t.Errorf("%v: code %q, remedy %q", err, e.Code, e.Remedy())
			}
		})
	}
}
