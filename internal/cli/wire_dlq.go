package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// deadLetterMonitor watches the letters of the store and, where there is one, the dead
// letter queue.
func (h house) deadLetterMonitor(ctx context.Context, s backend) (*deadletter.Monitor, error) {
	letters, err := h.deadLetters(ctx)
	if err != nil {
		return nil, err
	}
	c := deadletter.Config{Store: s, Alerts: s, Rollups: s, Interval: h.config.DLQCheckInterval, Log: h.log, Metrics: h.metrics}
	if letters != nil {
		c.Queue = letters
	}
	return deadletter.New(c), nil
}

// deadLetters is the dead letter queue that the settings name; nil: none.
func (h house) deadLetters(ctx context.Context) (queue.DeadLetters, error) {
	if h.config.SQSDLQURL == "" {
		return nil, nil
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return nil, err
	}
	return client.DeadLetters(h.config.SQSDLQURL), nil
}
