package sqs_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// estate is a set-up of queues as Create makes it, behind a proxy.
type estate struct {
	*testing.T
	server *sqstest.Server
	proxy  *sqstest.Proxy
	client *sqs.Client
	plan   sqs.Plan
	dlq    string
	urls   []string
}

func newEstate(t *testing.T, plan sqs.Plan) *estate {
	t.Helper()
	t.Parallel()
	s := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Policies })[0].Start(t)
	e := &estate{T: t, server: s, proxy: sqstest.NewProxy(t, s), plan: plan}
	e.plan.Name = "t-" + rand.Text()[:12]
	e.client = open(t, e.proxy.Endpoint)
	steps, err := e.client.Create(t.Context(), e.plan, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if !step.Made || step.URL == "" {
			t.Fatalf("step %+v", step)
		}
		if step.Dead {
			e.dlq = step.URL
			continue
		}
		e.urls = append(e.urls, step.URL)
	}
	return e
}

// faults are the findings that are not good, as "queue aspect grade".
func (e *estate) faults() (faults []string, remedies string) {
	e.Helper()
	for _, f := range e.client.Check(e.Context(), e.dlq, e.urls...) {
		if f.Grade == sqs.Good {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s %s", f.Aspect, f.Grade))
		remedies += f.Remedy + "\n"
	}
	return faults, remedies
}

func TestWhatCreateMakesIsGoodInTheEyesOfCheck(t *testing.T) {
	for name, plan := range map[string]sqs.Plan{
		"one queue": {}, "a queue for each priority": {Lanes: 4}, "FIFO": {FIFO: true}, "KMS": {KMSKey: "alias/ours"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, plan)
			if len(e.urls) != max(plan.Lanes, 1) || e.dlq == "" {
				t.Fatalf("queues %v, dead letters %q", e.urls, e.dlq)
			}
			if faults, _ := e.faults(); len(faults) > 0 {
				t.Errorf("faults %v", faults)
			}
			if got := e.server.Attributes(e.dlq)["MessageRetentionPeriod"]; got != "1209600" {
				t.Errorf("dead letters are kept %s s, want 14 days", got)
			}
		})
	}
}

func TestCreateOnceMoreLeavesWhatIsThere(t *testing.T) {
	e := newEstate(t, sqs.Plan{})
	e.server.Set(e.urls[0], map[string]string{"VisibilityTimeout": "77"})
	steps, err := e.client.Create(t.Context(), e.plan, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Made || s.URL == "" {
			t.Errorf("step %+v, want that it was there", s)
		}
	}
	if got := e.server.Attributes(e.urls[0])["VisibilityTimeout"]; got != "77" {
		t.Errorf("what was set to 77 is %s now", got)
	}
}

func TestADryRunAsksAndMakesNothing(t *testing.T) {
	e := newEstate(t, sqs.Plan{})
	before := e.proxy.Calls("CreateQueue") + e.proxy.Calls("GetQueueUrl")
	steps, err := e.client.Create(t.Context(), sqs.Plan{Name: "t-" + rand.Text()[:12], Lanes: 2}, true)
	if err != nil || len(steps) != 3 || steps[0].Made || steps[0].URL != "" {
		t.Errorf("steps %+v, %v", steps, err)
	}
	if after := e.proxy.Calls("CreateQueue") + e.proxy.Calls("GetQueueUrl"); after != before {
		t.Errorf("%d calls", after-before)
	}
}

// set returns a fault that sets attributes of the queue.
func set(attributes map[string]string) func(e *estate) {
	return func(e *estate) { e.server.Set(e.urls[0], attributes) }
}

// setDead returns a fault that sets attributes of the dead letter queue.
func setDead(attributes map[string]string) func(e *estate) {
	return func(e *estate) { e.server.Set(e.dlq, attributes) }
}

// denied returns a fault that refuses an action with a code.
func denied(action, code string) func(e *estate) {
	return func(e *estate) {
		e.proxy.Add(func(c *sqstest.Call) bool {
			if c.Action != action || c.Body["QueueUrl"] != e.urls[0] {
				return false
			}
			c.Refuse(400, code, "not you")
			return true
		})
	}
}

func TestCheckFindsEachFaultAndSaysWhatMendsIt(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(e *estate)
		want   []string // aspects and grades
		remedy string
	}{
		"no redrive policy":          {set(map[string]string{"RedrivePolicy": ""}), []string{"redrive policy bad"}, `"maxReceiveCount":"20"`},
		"few receives":               {func(e *estate) { e.policy(e.dlq, 3) }, []string{"maxReceiveCount bad"}, "set it to 10 or more"},
		"another dead letter queue":  {func(e *estate) { e.policy(e.server.Make("t-"+rand.Text()[:12], nil), 20) }, []string{"redrive policy bad"}, "let it and SQS_DLQ_URL name the same queue"},
		"dead letters kept 4 days":   {setDead(map[string]string{"MessageRetentionPeriod": "345600"}), []string{"shorter than its dead letter queue bad", "retention weak"}, "1209600"},
		"messages kept a minute":     {set(map[string]string{"MessageRetentionPeriod": "60"}), []string{"retention weak"}, "345600"},
		"each hint a minute late":    {set(map[string]string{"DelaySeconds": "60"}), []string{"delay weak"}, "set DelaySeconds to 0"},
		"not encrypted":              {set(map[string]string{"SqsManagedSseEnabled": "false"}), []string{"encryption weak"}, "SqsManagedSseEnabled"},
		"letters of others only":     {setDead(map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`}), []string{"allowed bad"}, "sourceQueueArns"},
		"queue behind the dead ones": {func(e *estate) { e.policyOf(e.dlq, e.server.Make("t-"+rand.Text()[:12], nil), 3) }, []string{"no queue behind it bad"}, "take its RedrivePolicy away"},
		"no dead letter queue set":   {func(e *estate) { e.dlq = "" }, []string{"dead letter queue bad"}, "set SQS_DLQ_URL"},
		"queue is gone":              {func(e *estate) { e.urls[0] += "-gone" }, []string{"reachable bad"}, "check SQS_QUEUE_URL"},
		"attributes denied":          {denied("GetQueueAttributes", "AccessDeniedException"), []string{"reachable bad"}, "grant sqs:GetQueueAttributes"},
		"send denied":                {denied("SendMessageBatch", "AccessDeniedException"), []string{"sqs:SendMessage bad"}, "grant sqs:SendMessage "},
		"receive denied":             {denied("ReceiveMessage", "AccessDeniedException"), []string{"sqs:ReceiveMessage bad"}, "grant sqs:ReceiveMessage "},
		"delete denied":              {denied("DeleteMessage", "AccessDeniedException"), []string{"sqs:DeleteMessage bad"}, "grant sqs:DeleteMessage "},
		"extend denied":              {denied("ChangeMessageVisibility", "AccessDeniedException"), []string{"sqs:ChangeMessageVisibility bad"}, "grant sqs:ChangeMessageVisibility "},
		"key denied":                 {denied("ReceiveMessage", "KmsAccessDenied"), []string{"sqs:ReceiveMessage bad"}, "grant kms:Decrypt"},
		"nobody can tell":            {denied("SendMessageBatch", "SomethingNew"), []string{"sqs:SendMessage untold"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, sqs.Plan{})
			c.spoil(e)
			faults, remedies := e.faults()
			if strings.Join(faults, ", ") != strings.Join(c.want, ", ") {
				t.Errorf("faults %q, want %q", faults, c.want)
			}
			if !strings.Contains(remedies, c.remedy) {
				t.Errorf("remedies %q, want %q", remedies, c.remedy)
			}
		})
	}
}

// policy lets dead letters of the queue go to another, after so many receives.
func (e *estate) policy(dlq string, receives int) { e.policyOf(e.urls[0], dlq, receives) }

func (e *estate) policyOf(url, dlq string, receives int) {
	e.Helper()
	e.server.Set(url, map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, e.server.ARN(dlq), receives)})
}

func TestCheckSeesAQueueForEveryPriority(t *testing.T) {
	e := newEstate(t, sqs.Plan{Lanes: 3})
	e.server.Set(e.urls[2], map[string]string{"DelaySeconds": "60"})
	if faults, _ := e.faults(); len(faults) != 1 {
		t.Errorf("faults %v, want that of the third queue", faults)
	}
}

func TestKindsOfQueuesMustMatch(t *testing.T) {
	e := newEstate(t, sqs.Plan{FIFO: true})
	standard := e.server.Pair(20)
	e.dlq = standard.DLQ
	faults, _ := e.faults()
	if !strings.Contains(strings.Join(faults, ","), "kind bad") {
		t.Errorf("faults %v", faults)
	}
}
