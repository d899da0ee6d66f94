package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// What a set-up needs.
const (
	// FewestReceives: a message is received again after each crash and at each end of a
	// process, and none of that makes it poison.
	FewestReceives = 10
	receives       = 20
	keptDead       = 14 * 24 * time.Hour // the longest there is
	kept           = 4 * 24 * time.Hour
	hiddenFor      = time.Minute
)

// Plan says which queues to make.
type Plan struct {
	Name   string // of the queue; those of a FIFO kind end in .fifo
	Lanes  int    // a queue for each of so many priorities; 1: one for all
	FIFO   bool
	KMSKey string // encrypts messages; empty: the key of SQS
}

// Step is one queue of a plan.
type Step struct {
	Queue      string            `json:"queue"`
	URL        string            `json:"url,omitempty"` // empty: not made yet
	Made       bool              `json:"made"`          // false: it was there, and was left as it is; or nothing was to be made
	Dead       bool              `json:"dead_letters,omitempty"`
	Attributes map[string]string `json:"attributes"`
}

// Create makes the queues of a plan, the dead letter queue first. A queue that is
// there already is left as it is: [Client.Check] tells whether it will do. With dry
// nothing is made, and nothing is asked either.
func (c *Client) Create(ctx context.Context, p Plan, dry bool) ([]Step, error) {
	steps := p.steps()
	if dry {
		return steps, nil
	}
	dead := &steps[0]
	if err := c.make(ctx, dead); err != nil {
		return steps[:0], err
	}
	arn, err := c.Queue(dead.URL).arn(ctx)
	if err != nil {
		return steps[:1], err
	}
	for i := range steps[1:] {
		s := &steps[i+1]
		s.Attributes["RedrivePolicy"] = redrivePolicy{Target: arn, Receives: strconv.Itoa(receives)}.String()
		if err := c.make(ctx, s); err != nil {
			return steps[:i+1], err
		}
	}
	return steps, c.allow(ctx, steps)
}

// allow lets the new sources use the dead letter queue, and nobody else.
func (c *Client) allow(ctx context.Context, steps []Step) error {
	if !steps[0].Made {
		return nil // somebody else's choice
	}
	sources := make([]string, len(steps)-1)
	for i, s := range steps[1:] {
		arn, err := c.Queue(s.URL).arn(ctx)
		if err != nil {
			return err
		}
		sources[i] = arn
	}
	policy, err := json.Marshal(allowPolicy{Permission: "byQueue", Sources: sources})
	if err != nil {
		return err
	}
	steps[0].Attributes["RedriveAllowPolicy"] = string(policy)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = c.api.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &steps[0].URL, Attributes: map[string]string{"RedriveAllowPolicy": string(policy)},
	})
	if codeOf(err) == "InvalidAttributeName" { // a service that speaks SQS and takes everybody's letters
		delete(steps[0].Attributes, "RedriveAllowPolicy")
		return nil
	}
	return failed("SetQueueAttributes", steps[0].Queue, err)
}

// steps are the queues of a plan, the dead letter queue first.
func (p Plan) steps() []Step {
	suffix, base := "", strings.TrimSuffix(p.Name, ".fifo")
	if p.FIFO {
		suffix = ".fifo"
	}
	steps := []Step{{Queue: base + "-dlq" + suffix, Dead: true, Attributes: p.attributes(keptDead)}}
	for n := 1; n <= max(p.Lanes, 1); n++ {
		name := base + suffix
		if p.Lanes > 1 {
			name = fmt.Sprintf("%s-p%d%s", base, n, suffix)
		}
		a := p.attributes(kept)
		a["RedrivePolicy"] = redrivePolicy{Target: "(ARN of " + steps[0].Queue + ")", Receives: strconv.Itoa(receives)}.String()
		steps = append(steps, Step{Queue: name, Attributes: a})
	}
	return steps
}

func (p Plan) attributes(retention time.Duration) map[string]string {
	a := map[string]string{
		"MessageRetentionPeriod":        strconv.Itoa(int(retention.Seconds())),
		"VisibilityTimeout":             strconv.Itoa(int(hiddenFor.Seconds())),
		"ReceiveMessageWaitTimeSeconds": "20",
	}
	if p.FIFO {
		a["FifoQueue"] = "true"
	}
	if p.KMSKey != "" {
		a["KmsMasterKeyId"] = p.KMSKey
	} else {
		a["SqsManagedSseEnabled"] = "true"
	}
	return a
}

// make makes one queue, unless it is there.
func (c *Client) make(ctx context.Context, s *Step) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	there, err := c.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &s.Queue})
	if err == nil {
		s.URL = aws.ToString(there.QueueUrl)
		return nil
	}
	if codeOf(err) != "QueueDoesNotExist" {
		return failed("GetQueueUrl", s.Queue, err)
	}
	made, err := c.api.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &s.Queue, Attributes: s.Attributes})
	var early *types.QueueDeletedRecently
	if errors.As(err, &early) {
		return fmt.Errorf("make the queue %s: one of that name was deleted less than a minute ago; try again in a minute", s.Queue)
	}
	if err != nil {
		return failed("CreateQueue", s.Queue, err)
	}
	s.URL, s.Made = aws.ToString(made.QueueUrl), true
	return nil
}

// redrivePolicy says where messages go that were received too often.
type redrivePolicy struct {
	Target   string `json:"deadLetterTargetArn"`
	Receives string `json:"maxReceiveCount"`
}

func (p redrivePolicy) String() string {
	text, _ := json.Marshal(p) // two strings
	return string(text)
}

// readPolicy reads a redrive policy, in which the count is a number or a text.
func readPolicy(text string) (target string, receives int, err error) {
	var p struct {
		Target   string          `json:"deadLetterTargetArn"`
		Receives json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return "", 0, err
	}
	receives, err = strconv.Atoi(strings.Trim(string(p.Receives), `"`))
	return p.Target, receives, err
}

// allowPolicy says whose dead letters a queue takes.
type allowPolicy struct {
	Permission string   `json:"redrivePermission"` // allowAll, denyAll or byQueue
	Sources    []string `json:"sourceQueueArns,omitempty"`
}
