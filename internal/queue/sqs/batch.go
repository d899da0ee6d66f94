package sqs

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/directorybolt/directorybolt/internal/backoff"
)

const (
	batchEntries  = 10      // in a batch call, at most
	batchBytes    = 1 << 20 // of all their bodies and attributes
	batchTries    = 4       // of an entry that failed for no fault of its own
	batchesAtOnce = 4
)

// call performs one batch: it is told which of the arguments are in it, and
// returns which of those failed.
type call func(ctx context.Context, which []int) ([]types.BatchResultErrorEntry, error)

// batch performs n entries in batches. size tells how much of a batch's bytes an
// entry takes; nil: nothing. A failure that is not the sender's is tried again; the
// SDK does not look at entries.
func (q *Queue) batch(ctx context.Context, action string, n int, size func(i int) int, do call) []error {
	errs := make([]error, n)
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	wait := backoff.Policy{Base: 100 * time.Millisecond, Cap: 2 * time.Second}
	for try := 1; len(todo) > 0; try++ {
		todo = q.round(ctx, action, todo, size, do, errs)
		if try == batchTries || len(todo) > 0 && !pause(ctx, wait.Delay(try)) {
			break
		}
	}
	return errs
}

// round tries each of todo once, notes in errs how it went, and returns what is
// worth another try.
func (q *Queue) round(ctx context.Context, action string, todo []int, size func(i int) int, do call, errs []error) (again []int) {
	var mu sync.Mutex
	var running sync.WaitGroup
	turns := make(chan struct{}, batchesAtOnce)
	for _, which := range split(todo, size) {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			refused, err := do(ctx, which)
			mu.Lock()
			defer mu.Unlock()
			again = append(again, q.judge(action, which, refused, err, errs)...)
		})
	}
	running.Wait()
	return again
}

// judge notes the outcome of one batch.
func (q *Queue) judge(action string, which []int, refused []types.BatchResultErrorEntry, err error, errs []error) (again []int) {
	for _, i := range which {
		errs[i] = failed(action, q.name, err) // nil, unless the whole batch failed
	}
	for _, entry := range refused {
		i, err := strconv.Atoi(aws.ToString(entry.Id))
		if err != nil || i < 0 || i >= len(errs) {
			continue
		}
		errs[i] = failed(action, q.name, &entryError{entry})
		if !entry.SenderFault {
			again = append(again, i)
		}
	}
	return again
}

// entryError is an entry of a batch that SQS refused, as the API's errors are.
type entryError struct{ types.BatchResultErrorEntry }

func (e *entryError) Error() string { return aws.ToString(e.Code) + ": " + aws.ToString(e.Message) }

func (e *entryError) ErrorCode() string    { return aws.ToString(e.Code) }
func (e *entryError) ErrorMessage() string { return aws.ToString(e.Message) }

// ErrorFault is told so that it is a [smithy.APIError].
func (e *entryError) ErrorFault() smithy.ErrorFault {
	if e.SenderFault {
		return smithy.FaultClient
	}
	return smithy.FaultServer
}

var _ smithy.APIError = (*entryError)(nil)

// split cuts todo into batches that SQS takes.
func split(todo []int, size func(i int) int) (batches [][]int) {
	var batch []int
	bytes := 0
	for _, i := range todo {
		n := 0
		if size != nil {
			n = size(i)
		}
		if len(batch) == batchEntries || len(batch) > 0 && bytes+n > batchBytes {
			batches, batch, bytes = append(batches, batch), nil, 0
		}
		batch, bytes = append(batch, i), bytes+n
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// pause waits for d and reports true, or false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
