package sqs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

const (
	longestWait = 20 * time.Second
	// shortestWait: the SDK does not send a zero, and the queue's own wait would
	// apply. A wait also makes SQS look at all its servers.
	shortestWait = time.Second
	longestHold  = 12 * time.Hour // from the receive
)

// Queue keeps [queue.Queue] with one queue of SQS.
type Queue struct {
	api  *sqs.Client
	url  string
	name string
}

var _ queue.Queue = (*Queue)(nil)

// Queue is the queue of the URL. Nothing is asked.
func (c *Client) Queue(url string) *Queue { return &Queue{api: c.api, url: url, name: nameOf(url)} }

// Lanes are the queues of the URLs, the most urgent first.
func (c *Client) Lanes(urls ...string) queue.Lanes {
	lanes := make(queue.Lanes, len(urls))
	for i, url := range urls {
		lanes[i] = c.Queue(url)
	}
	return lanes
}

// Name is the last part of the queue's URL.
func (q *Queue) Name() string { return q.name }

// Send hands hints over, ten a call.
func (q *Queue) Send(ctx context.Context, hints ...queue.Outgoing) []error {
	bodies := make([]string, len(hints))
	for i, h := range hints {
		bodies[i] = string(h.Hint.Encode())
	}
	return q.batch(ctx, "SendMessageBatch", len(hints), func(i int) int { return len(bodies[i]) },
		func(ctx context.Context, which []int) ([]types.BatchResultErrorEntry, error) {
			entries := make([]types.SendMessageBatchRequestEntry, len(which))
			for k, i := range which {
				group, double := q.grouping(hints[i].ID, hints[i].Hint)
				entries[k] = types.SendMessageBatchRequestEntry{
					Id: entryID(i), MessageBody: &bodies[i], MessageGroupId: group, MessageDeduplicationId: double,
				}
			}
			out, err := q.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
			if err != nil {
				return nil, err
			}
			return out.Failed, nil
		})
}

// grouping is the group of a hint and the id by which a FIFO queue knows doubles.
func (q *Queue) grouping(id job.ID, h queue.Hint) (group, double *string) {
	switch {
	case isFIFO(q.name):
		return aws.String(h.JobID.String()), aws.String(id.String())
	case h.CustomerID != job.ID{}:
		return aws.String(h.CustomerID.String()), nil
	}
	return nil, nil
}

// Receive waits for messages.
func (q *Queue) Receive(ctx context.Context, most int, wait, hide time.Duration) ([]queue.Message, error) {
	got, err := q.receive(ctx, most, wait, hide)
	if err != nil {
		return nil, err
	}
	messages := make([]queue.Message, len(got.messages))
	for i, m := range got.messages {
		messages[i] = read(m, got.asked)
	}
	return messages, nil
}

type received struct {
	asked    time.Time
	messages []types.Message
}

func (q *Queue) receive(ctx context.Context, most int, wait, hide time.Duration) (received, error) {
	wait = min(max(wait, shortestWait), longestWait)
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	asked := time.Now()
	all := []types.QueueAttributeName{types.QueueAttributeNameAll}
	out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:            &q.url,
		MaxNumberOfMessages: int32(min(max(most, 1), batchEntries)),
		WaitTimeSeconds:     seconds(wait),
		VisibilityTimeout:   seconds(min(max(hide, time.Second), longestHold)),
		//lint:ignore SA1019 services that speak SQS know only this older name of the next field
		AttributeNames:              all,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return received{}, failed("ReceiveMessage", q.name, err)
	}
	return received{asked, out.Messages}, nil
}

// read makes a message of what SQS handed out.
func read(m types.Message, asked time.Time) queue.Message {
	r := queue.Message{
		ID:         aws.ToString(m.MessageId),
		Body:       []byte(aws.ToString(m.Body)),
		Receipt:    aws.ToString(m.ReceiptHandle),
		ReceivedAt: asked,
	}
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		r.SentAt = time.UnixMilli(ms).UTC()
	}
	r.Receives, _ = strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	for name, value := range m.MessageAttributes {
		if value.StringValue == nil {
			continue
		}
		if r.Attributes == nil {
			r.Attributes = make(map[string]string, len(m.MessageAttributes))
		}
		r.Attributes[name] = *value.StringValue
	}
	return r
}

// Extend hides messages for d from now on.
func (q *Queue) Extend(ctx context.Context, d time.Duration, ms ...queue.Message) []error {
	errs := make([]error, len(ms))
	var may []queue.Message
	var at []int
	for i, m := range ms {
		if time.Since(m.ReceivedAt)+d > longestHold {
			errs[i] = queue.ErrHeldLong
			continue
		}
		may, at = append(may, m), append(at, i)
	}
	for k, err := range q.hide(ctx, d, may) {
		errs[at[k]] = err
	}
	return errs
}

// Return gives messages back.
func (q *Queue) Return(ctx context.Context, d time.Duration, ms ...queue.Message) []error {
	return q.hide(ctx, max(d, 0), ms)
}

func (q *Queue) hide(ctx context.Context, d time.Duration, ms []queue.Message) []error {
	return held(q.batch(ctx, "ChangeMessageVisibilityBatch", len(ms), nil, func(ctx context.Context, which []int) ([]types.BatchResultErrorEntry, error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(which))
		for k, i := range which {
			entries[k] = types.ChangeMessageVisibilityBatchRequestEntry{Id: entryID(i), ReceiptHandle: &ms[i].Receipt, VisibilityTimeout: seconds(d)}
		}
		out, err := q.api.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, err
		}
		return out.Failed, nil
	}))
}

// Delete ends messages.
func (q *Queue) Delete(ctx context.Context, ms ...queue.Message) []error {
	return held(q.batch(ctx, "DeleteMessageBatch", len(ms), nil, func(ctx context.Context, which []int) ([]types.BatchResultErrorEntry, error) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(which))
		for k, i := range which {
			entries[k] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &ms[i].Receipt}
		}
		out, err := q.api.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, err
		}
		return out.Failed, nil
	}))
}

// held says which of the errors mean that the receipt is no longer the latest. A
// success proves nothing of the kind: SQS answers it for old receipts too.
func held(errs []error) []error {
	for i, err := range errs {
		switch CodeOf(err) {
		case "MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue":
			errs[i] = errors.Join(queue.ErrGone, err)
		}
	}
	return errs
}

func entryID(i int) *string { return aws.String(strconv.Itoa(i)) }
