package sqs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// Grades of a finding.
const (
	Good   = "good"
	Weak   = "weak"   // it works, and something is lost or seen late by it
	Bad    = "bad"    // a promise cannot be kept
	Untold = "untold" // nobody can tell without doing it
)

// Finding is one thing that was looked at.
type Finding struct {
	Queue  string `json:"queue"`
	Aspect string `json:"aspect"` // what was looked at
	Grade  string `json:"grade"`
	Seen   string `json:"seen"`             // what is there
	Remedy string `json:"remedy,omitempty"` // what mends it
}

// Check compares queues with what is needed. It changes nothing: it receives a message
// for a second and gives it back, and everything else it asks for is refused for other
// reasons than rights.
func (c *Client) Check(ctx context.Context, dlqURL string, urls ...string) []Finding {
	k := &check{c: c, ctx: ctx}
	var dead *seen
	if dlqURL == "" {
		k.add("", "dead letter queue", Bad, "SQS_DLQ_URL is not set", "make one: directorybolt queue create, and set SQS_DLQ_URL: poison messages would come back for ever")
	} else {
		dead = k.look(dlqURL)
	}
	for _, url := range urls {
		source := k.look(url)
		if source == nil {
			continue
		}
		k.source(source)
		k.permissions(source, "SendMessage", "ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage")
		if dead != nil {
			k.pair(source, dead)
		}
	}
	if dead != nil {
		k.dead(dead)
		k.permissions(dead, "SendMessage", "ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "ListMessageMoveTasks")
	}
	return k.findings
}

type check struct {
	c        *Client
	ctx      context.Context
	findings []Finding
}

// seen is a queue and its attributes.
type seen struct {
	*Queue
	attributes map[string]string
}

func (s *seen) arnText() string { return s.attributes["QueueArn"] }

func (s *seen) seconds(name string) time.Duration {
	n, _ := strconv.Atoi(s.attributes[name])
	return time.Duration(n) * time.Second
}

func (k *check) add(queue, aspect, grade, what, remedy string) {
	if grade == Good {
		remedy = ""
	}
	k.findings = append(k.findings, Finding{queue, aspect, grade, what, remedy})
}

// is adds a finding that is good or of the grade given.
func (k *check) is(good bool, queue, aspect, grade, what, remedy string) {
	if good {
		grade = Good
	}
	k.add(queue, aspect, grade, what, remedy)
}

// look asks for the attributes of a queue, which is also the first permission.
func (k *check) look(url string) *seen {
	q := k.c.Queue(url)
	a, err := q.attributes(k.ctx, types.QueueAttributeNameAll)
	if err != nil {
		k.add(q.name, "reachable", Bad, short(err), remedyOf(err))
		return nil
	}
	k.add(q.name, "reachable", Good, a["QueueArn"], "")
	return &seen{q, a}
}

func remedyOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Remedy()
	}
	return ""
}

// source looks at a queue of hints by itself.
func (k *check) source(s *seen) {
	retention := s.seconds("MessageRetentionPeriod")
	k.is(retention >= time.Hour, s.name, "retention", Weak, inDays(retention), "set MessageRetentionPeriod to 345600 (4 days): hints that wait out an outage would be gone")
	delay := s.seconds("DelaySeconds")
	k.is(delay == 0, s.name, "delay", Weak, delay.String(), "set DelaySeconds to 0: each wake-up comes that much later")
	k.encryption(s)
}

// dead looks at a dead letter queue by itself.
func (k *check) dead(s *seen) {
	retention := s.seconds("MessageRetentionPeriod")
	k.is(retention >= keptDead, s.name, "retention", Weak, inDays(retention),
		"set MessageRetentionPeriod to 1209600 (14 days), the longest there is: a letter keeps the time that it spent in its queue before")
	policy := s.attributes["RedrivePolicy"]
	k.is(policy == "", s.name, "no queue behind it", Bad, cmp.Or(policy, "none"), "take its RedrivePolicy away: looking at letters counts as receiving them, and would move them on")
	k.encryption(s)
}

func (k *check) encryption(s *seen) {
	switch key := s.attributes["KmsMasterKeyId"]; {
	case key != "":
		k.add(s.name, "encryption", Good, "KMS, "+key, "")
	case s.attributes["SqsManagedSseEnabled"] == "true":
		k.add(s.name, "encryption", Good, "by SQS", "")
	default:
		k.add(s.name, "encryption", Weak, "none", "set SqsManagedSseEnabled to true")
	}
}

// pair looks at how a queue and the dead letter queue fit.
func (k *check) pair(s, dead *seen) {
	k.is(isFIFO(s.name) == isFIFO(dead.name), s.name, "kind", Bad, kindOf(s.name)+", and "+dead.name+" is "+kindOf(dead.name),
		"make both of one kind: a FIFO queue needs a FIFO dead letter queue")
	k.policy(s, dead)
	k.is(dead.seconds("MessageRetentionPeriod") > s.seconds("MessageRetentionPeriod"), s.name, "shorter than its dead letter queue", Bad,
		inDays(s.seconds("MessageRetentionPeriod"))+" to "+inDays(dead.seconds("MessageRetentionPeriod")),
		"let the dead letter queue keep longer: a letter keeps the age that it had in its queue")
	k.allowed(s, dead)
}

// policy looks at what SQS does with messages that were received too often.
func (k *check) policy(s, dead *seen) {
	text := s.attributes["RedrivePolicy"]
	if text == "" {
		k.add(s.name, "redrive policy", Bad, "none",
			fmt.Sprintf(`set RedrivePolicy to {"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}: poison messages would come back for ever`, dead.arnText(), receives))
		return
	}
	target, n, err := readPolicy(text)
	if err != nil {
		k.add(s.name, "redrive policy", Bad, "cannot be read: "+text, "set it anew")
		return
	}
	k.is(n >= FewestReceives, s.name, "maxReceiveCount", Bad, strconv.Itoa(n),
		fmt.Sprintf("set it to %d or more: a message is received again after each crash, and is no poison for that", FewestReceives))
	if target == dead.arnText() {
		k.add(s.name, "redrive policy", Good, "to "+arnName(target), "")
		return
	}
	k.add(s.name, "redrive policy", Bad, "to "+target+", which "+k.whatIs(target), "let it and SQS_DLQ_URL name the same queue: "+dead.arnText())
}

// whatIs tells whether a queue that nobody expected is there. SQS keeps messages for
// ever on their queue when it is not.
func (k *check) whatIs(arn string) string {
	ctx, cancel := context.WithTimeout(k.ctx, callTimeout)
	defer cancel()
	_, err := k.c.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(arnName(arn))})
	switch {
	case err == nil:
		return "is another queue"
	case codeOf(err) == "QueueDoesNotExist":
		return "is not there: poison messages stay for ever"
	}
	return "is another queue, of which nobody can tell whether it is there: " + codeOf(err)
}

// allowed looks whether the dead letter queue takes letters of this queue.
func (k *check) allowed(s, dead *seen) {
	text := dead.attributes["RedriveAllowPolicy"]
	if text == "" {
		k.add(s.name, "allowed", Good, "by default", "")
		return
	}
	var p allowPolicy
	err := json.Unmarshal([]byte(text), &p)
	ok := err == nil && (p.Permission == "allowAll" || p.Permission == "byQueue" && slices.Contains(p.Sources, s.arnText()))
	k.is(ok, s.name, "allowed", Bad, text, "name "+s.arnText()+" among sourceQueueArns in RedriveAllowPolicy of "+dead.name)
}

// permissions tries actions in ways that SQS refuses for another reason when we may.
func (k *check) permissions(s *seen, actions ...string) {
	for _, action := range actions {
		ctx, cancel := context.WithTimeout(k.ctx, callTimeout)
		err := k.c.attempt(ctx, s, action)
		cancel()
		aspect := "sqs:" + action
		var e *Error
		switch {
		case err == nil, provesRight[CodeOf(err)]:
			k.add(s.name, aspect, Good, "granted", "")
		case errors.As(err, &e) && (e.Denied() || strings.HasPrefix(strings.ToUpper(e.Code), "KMS")):
			k.add(s.name, aspect, Bad, short(e.err), e.Remedy())
		default:
			k.add(s.name, aspect, Untold, "not told: "+short(err), "")
		}
	}
}

// provesRight are refusals that SQS comes to after it has looked at the rights.
var provesRight = map[string]bool{
	"BatchEntryIdsNotDistinct": true, "ReceiptHandleIsInvalid": true, "InvalidParameterValue": true, "MessageNotInflight": true,
}

// attempt tries an action without an effect that lasts.
func (c *Client) attempt(ctx context.Context, s *seen, action string) error {
	const no = "AQEBnone"
	var err error
	switch action {
	case "SendMessage": // two entries of one name: nothing is sent
		body := string(queue.Hint{JobID: job.NewID()}.Encode())
		group, double := s.grouping(job.NewID(), queue.Hint{JobID: job.NewID()})
		e := types.SendMessageBatchRequestEntry{Id: aws.String("same"), MessageBody: &body, MessageGroupId: group, MessageDeduplicationId: double}
		_, err = c.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &s.url, Entries: []types.SendMessageBatchRequestEntry{e, e}})
	case "ChangeMessageVisibility":
		_, err = c.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &s.url, ReceiptHandle: aws.String(no), VisibilityTimeout: 1})
	case "DeleteMessage":
		_, err = c.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: aws.String(no)})
	case "ListMessageMoveTasks":
		_, err = c.api.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(s.arnText())})
	case "ReceiveMessage": // the only way to prove the key, too
		var got []queue.Message
		if got, err = s.Receive(ctx, 1, time.Second, 5*time.Second); err == nil {
			s.Return(ctx, 0, got...)
		}
		return err
	}
	return failed(action, s.name, err)
}

func kindOf(name string) string {
	if isFIFO(name) {
		return "a FIFO queue"
	}
	return "a standard queue"
}

func inDays(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
