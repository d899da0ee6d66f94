package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/directorybolt/directorybolt/internal/queue"
)

const (
	mostNotes   = 8
	longestNote = 2 << 10 // bytes of an attribute's value
	// mostMovedPerSecond is what AWS takes for the speed of a move.
	mostMovedPerSecond = 500
)

// DeadLetters keeps [queue.DeadLetters] and [queue.Mover] with a dead letter queue of
// SQS.
type DeadLetters struct{ *Queue }

var (
	_ queue.DeadLetters = (*DeadLetters)(nil)
	_ queue.Mover       = (*DeadLetters)(nil)
)

// DeadLetters is the dead letter queue of the URL. Nothing is asked.
func (c *Client) DeadLetters(url string) *DeadLetters { return &DeadLetters{c.Queue(url)} }

// Depth counts the messages by the queue's attributes.
func (q *Queue) Depth(ctx context.Context) (queue.Depth, error) {
	const visible, inFlight, delayed = types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	a, err := q.attributes(ctx, visible, inFlight, delayed)
	if err != nil {
		return queue.Depth{}, err
	}
	var depth queue.Depth
	for name, n := range map[types.QueueAttributeName]*int64{visible: &depth.Visible, inFlight: &depth.InFlight, delayed: &depth.Delayed} {
		if *n, err = strconv.ParseInt(a[string(name)], 10, 64); err != nil {
			return queue.Depth{}, fmt.Errorf("count the messages of %s: %s is %q, no number", q.name, name, a[string(name)])
		}
	}
	return depth, nil
}

// Retention is how long messages stay.
func (d *DeadLetters) Retention(ctx context.Context) (time.Duration, error) {
	const name = types.QueueAttributeNameMessageRetentionPeriod
	a, err := d.attributes(ctx, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(a[string(name)], 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("ask for the retention of %s: %s is %q, no number", d.name, name, a[string(name)])
	}
	return time.Duration(n) * time.Second, nil
}

// attributes asks for attributes of the queue.
func (q *Queue) attributes(ctx context.Context, names ...types.QueueAttributeName) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		return nil, failed("GetQueueAttributes", q.name, err)
	}
	return out.Attributes, nil
}

// Look receives letters until there are max, or nothing new comes. What was received
// before an error is given back.
func (d *DeadLetters) Look(ctx context.Context, most int, hide time.Duration) (queue.Sample, error) {
	retention, err := d.Retention(ctx)
	if err != nil {
		return queue.Sample{}, err
	}
	var sample queue.Sample
	seen := map[string]int{} // by message, where in the sample
	for len(sample.Letters) < most && !sample.Complete {
		got, err := d.receive(ctx, most-len(sample.Letters), shortestWait, hide)
		if err != nil {
			d.Return(context.WithoutCancel(ctx), sample.Letters...)
			return queue.Sample{}, err
		}
		sample.Complete = true
		for _, m := range got.messages {
			l := queue.NewLetter(read(m, got.asked), retention)
			l.Source = arnName(m.Attributes["DeadLetterQueueSourceArn"])
			if i, again := seen[l.ID]; again { // hide was over before the look was
				sample.Letters[i] = l
				continue
			}
			seen[l.ID] = len(sample.Letters)
			sample.Letters = append(sample.Letters, l)
			sample.Complete = false
		}
	}
	return sample, nil
}

// arnName is the name of the queue in an ARN.
func arnName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// Return gives letters back at once.
func (d *DeadLetters) Return(ctx context.Context, ls ...queue.Letter) []error {
	return d.Queue.Return(ctx, 0, messages(ls)...)
}

// Delete ends letters for good.
func (d *DeadLetters) Delete(ctx context.Context, ls ...queue.Letter) []error {
	return d.Queue.Delete(ctx, messages(ls)...)
}

func messages(ls []queue.Letter) []queue.Message {
	ms := make([]queue.Message, len(ls))
	for i, l := range ls {
		ms[i] = l.Message
	}
	return ms
}

// Bury adds a letter.
func (d *DeadLetters) Bury(ctx context.Context, b queue.Burial) error {
	if len(b.Notes) > mostNotes {
		return fmt.Errorf("bury the letter of job %s: %d notes, SQS takes %d: %w", b.Hint.JobID, len(b.Notes), mostNotes, queue.ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	group, double := d.grouping(b.ID, b.Hint)
	_, err := d.api.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:               &d.url,
		MessageBody:            aws.String(string(b.Hint.Encode())),
		MessageAttributes:      attributes(b),
		MessageGroupId:         group,
		MessageDeduplicationId: double,
	})
	err = failed("SendMessage", d.name, err)
	switch CodeOf(err) {
	case "InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue", "UnsupportedOperation":
		return errors.Join(queue.ErrRefused, err)
	}
	return err
}

// attributes are a letter's reason, job and notes as SQS takes them: text that is
// neither empty nor long nor holds what XML cannot.
func attributes(b queue.Burial) map[string]types.MessageAttributeValue {
	notes := map[string]types.MessageAttributeValue{}
	put := func(name, text string) {
		if text = carried(text); text != "" {
			notes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &text}
		}
	}
	put(queue.AttributeReason, b.Reason)
	put(queue.AttributeJob, b.Hint.JobID.String())
	for name, text := range b.Notes {
		put(name, text)
	}
	return notes
}

// carried leaves out of a text what SQS would refuse the whole letter for.
func carried(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r < utf8.RuneError, r > utf8.RuneError && r <= utf8.MaxRune:
			if r == 0xFFFE || r == 0xFFFF {
				return -1
			}
			return r
		}
		return -1
	}, text)
	if len(text) > longestNote {
		text = strings.ToValidUTF8(text[:longestNote], "")
	}
	return text
}

// Move begins to move everything back to where it came from.
func (d *DeadLetters) Move(ctx context.Context, perSecond int) (string, error) {
	arn, err := d.arn(ctx)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &arn}
	if perSecond > 0 {
		in.MaxNumberOfMessagesPerSecond = aws.Int32(int32(min(perSecond, mostMovedPerSecond)))
	}
	out, err := d.api.StartMessageMoveTask(ctx, in)
	if err != nil {
		return "", failed("StartMessageMoveTask", d.name, err)
	}
	return aws.ToString(out.TaskHandle), nil
}

// Moves lists the latest ten moves.
func (d *DeadLetters) Moves(ctx context.Context) ([]queue.Move, error) {
	arn, err := d.arn(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := d.api.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn, MaxResults: aws.Int32(10)})
	if err != nil {
		return nil, failed("ListMessageMoveTasks", d.name, err)
	}
	moves := make([]queue.Move, len(out.Results))
	for i, r := range out.Results {
		moves[i] = queue.Move{
			Handle:    aws.ToString(r.TaskHandle),
			State:     aws.ToString(r.Status),
			Moved:     r.ApproximateNumberOfMessagesMoved,
			ToMove:    aws.ToInt64(r.ApproximateNumberOfMessagesToMove),
			StartedAt: time.UnixMilli(r.StartedTimestamp).UTC(),
			Failure:   aws.ToString(r.FailureReason),
		}
	}
	return moves, nil
}

// CancelMove stops a move.
func (d *DeadLetters) CancelMove(ctx context.Context, handle string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := d.api.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
	if err != nil {
		return 0, failed("CancelMessageMoveTask", d.name, err)
	}
	return out.ApproximateNumberOfMessagesMoved, nil
}

// arn asks for the queue's ARN, which moves name it by.
func (q *Queue) arn(ctx context.Context) (string, error) {
	a, err := q.attributes(ctx, types.QueueAttributeNameQueueArn)
	return a[string(types.QueueAttributeNameQueueArn)], err
}
