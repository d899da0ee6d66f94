package cli

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/consumer"
	"github.com/directorybolt/directorybolt/internal/outbox"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// hints reports whether a queue carries wake-ups beside the database. Where none
// does, nothing of AWS is touched.
func (h house) hints() bool { return len(h.config.SQSQueueURLs) > 0 }

// sqs opens SQS as the settings say. It asks nothing yet.
func (h house) sqs(ctx context.Context) (*sqs.Client, error) {
	c := sqs.Config{
		Region:          h.config.AWSRegion,
		AccessKeyID:     h.config.AWSAccessKeyID,
		SecretAccessKey: h.config.AWSSecretAccessKey,
		SessionToken:    h.config.AWSSessionToken,
		Endpoint:        h.config.AWSEndpointURLSQS,
	}
	if h.hints() {
		c.QueueURL = h.config.SQSQueueURLs[0]
	}
	client, err := sqs.Open(ctx, c)
	if err != nil {
		return nil, usage(err, "see: directorybolt config print")
	}
	return client, nil
}

// services of a process, each of which runs until its context ends.
type services []func(ctx context.Context) error

// run runs them all; the first that fails ends the rest.
func (s services) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, service := range s {
		g.Go(func() error { return service(ctx) })
	}
	return g.Wait()
}

// relay carries hints to the queue, in every process that stays: whichever lives
// does it. Without a queue there is none.
func (h house) relay(ctx context.Context, s backend) (services, error) {
	if !h.hints() {
		return nil, nil
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return nil, err
	}
	r := outbox.NewRelay(outbox.Config{
		Store:    s,
		Lanes:    client.Lanes(h.config.SQSQueueURLs...),
		Interval: min(h.config.PollInterval, time.Second), // the store may not wake it for what other processes commit
		Log:      h.log,
		Metrics:  h.metrics,
	})
	return services{r.Run}, nil
}

// hinted makes a pool of c that hints wake too, and the services that go with it.
func (h house) hinted(ctx context.Context, s backend, c worker.Config) (*worker.Pool, services, error) {
	run, err := h.relay(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if run == nil {
		pool, err := worker.New(c)
		return pool, nil, err
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return nil, nil, err
	}
	var pool *worker.Pool
	hints := consumer.New(consumer.Config{
		Store:   s,
		Lanes:   client.Lanes(h.config.SQSQueueURLs...),
		Free:    func() int { return pool.Free() },
		Beat:    h.config.Heartbeat,
		Hide:    3 * h.config.Lease,
		Grace:   max(h.config.DrainGrace, 1),
		Log:     h.log,
		Metrics: h.metrics,
	})
	c.Hints = hints.Due()
	if pool, err = worker.New(c); err != nil {
		return nil, nil, fmt.Errorf("make the worker: %w", err)
	}
	return pool, append(run, hints.Run), nil
}
