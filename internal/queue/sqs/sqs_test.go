package sqs_test

import (
	"testing"

	"github.com/directorybolt/directorybolt/internal/queue/queuetest"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// open is a client of what listens at the endpoint.
func open(t *testing.T, endpoint string) *sqs.Client {
	t.Helper()
	c, err := sqs.Open(t.Context(), sqs.Config{Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counting are the emulators on which a message can be held.
func counting(e sqstest.Emulator) bool { return e.Counts }

func TestQueueKeepsTheContract(t *testing.T) {
	for _, e := range sqstest.Can(t, counting) {
		kinds := map[string]func(s *sqstest.Server) sqstest.Queues{
			"standard": func(s *sqstest.Server) sqstest.Queues { return s.Pair(100) },
		}
		if e.Groups {
			kinds["FIFO"] = func(s *sqstest.Server) sqstest.Queues { return s.PairFIFO(100) }
		}
		for kind, pair := range kinds {
			t.Run(e.Name+" "+kind, func(t *testing.T) {
				queuetest.Run(t, func(t *testing.T) queuetest.Subject {
					s := e.Start(t)
					q := pair(s)
					return queuetest.Subject{Queue: open(t, s.Endpoint).Queue(q.URL), Put: func(body string) { s.Put(q.URL, body) }}
				})
			})
		}
	}
}

func TestDeadLettersKeepTheContract(t *testing.T) {
	for _, e := range sqstest.Can(t, counting) {
		t.Run(e.Name, func(t *testing.T) {
			queuetest.RunDeadLetters(t, func(t *testing.T) queuetest.Dead {
				s := e.Start(t)
				q := s.Pair(100)
				return queuetest.Dead{Letters: open(t, s.Endpoint).DeadLetters(q.DLQ), Put: func(body string) { s.Put(q.DLQ, body) }}
			})
		})
	}
}
