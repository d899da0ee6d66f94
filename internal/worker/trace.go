package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// traceClaim tells of a claim that came to something; a look that found nothing is
// no news.
func (t *tenure) traceClaim(ctx context.Context, begun time.Time, n int, err error) {
	if n == 0 && err == nil {
		return
	}
	span := t.Tracer.Since(ctx, "claim", begun)
	span.ID(telemetry.KeyWorker, t.id)
	span.Int(telemetry.KeyCount, int64(n))
	span.End(err)
}

// traceAttempt begins the span of an attempt, in the trace of who asked for the job
// where its payload names one.
func (t *tenure) traceAttempt(a *attempt) (context.Context, telemetry.Span) {
	if t.Tracer == nil {
		return a.ctx, telemetry.Span{}
	}
	var asked struct {
		Trace string `json:"trace"`
	}
	_ = json.Unmarshal(a.job.Payload, &asked) // one that names none is not our concern
	ctx, span := t.Tracer.Start(telemetry.WithTrace(a.ctx, asked.Trace), "attempt")
	span.ID(telemetry.KeyJob, a.job.ID)
	span.ID(telemetry.KeyWorker, t.id)
	span.Text(telemetry.KeyKind, a.job.Kind)
	span.Int(telemetry.KeyAttempt, int64(a.job.Attempt))
	span.Int(telemetry.KeyFence, a.job.Fence)
	return ctx, span
}

// fault is what went wrong with an attempt; a snooze or a drain did not.
func fault(err error) error {
	if err == nil || errors.As(err, new(*job.SnoozeError)) || errors.Is(err, job.ErrDrained) || job.IsCancel(err) {
		return nil
	}
	return err
}
