package sqstest

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Server is an emulator that runs.
type Server struct {
	Emulator
	Endpoint string
	TB       testing.TB
	stop     func()
}

// Stop ends an emulator of [Emulator.StartOwn].
func (s *Server) Stop() { s.stop() }

// API speaks to it as anybody would who is not under test.
func (s *Server) API() *sqs.Client {
	return sqs.New(sqs.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(s.Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// Queues are a queue and its dead letter queue, fresh ones.
type Queues struct{ URL, DLQ string }

// Pair makes a queue and its dead letter queue. What is received more than
// maxReceives times is moved.
func (s *Server) Pair(maxReceives int) Queues { return s.pair(maxReceives, "", nil) }

// PairFIFO makes FIFO queues.
func (s *Server) PairFIFO(maxReceives int) Queues {
	return s.pair(maxReceives, ".fifo", map[string]string{"FifoQueue": "true"})
}

func (s *Server) pair(maxReceives int, suffix string, attributes map[string]string) Queues {
	s.TB.Helper()
	name := "t-" + rand.Text()[:12]
	dead := map[string]string{"MessageRetentionPeriod": "1209600"}
	maps.Copy(dead, attributes)
	dlq := s.Make(name+"-dlq"+suffix, dead)
	policy, err := json.Marshal(map[string]string{"deadLetterTargetArn": s.ARN(dlq), "maxReceiveCount": strconv.Itoa(maxReceives)})
	if err != nil {
		s.TB.Fatal(err)
	}
	source := map[string]string{"RedrivePolicy": string(policy)}
	maps.Copy(source, attributes)
	return Queues{URL: s.Make(name+suffix, source), DLQ: dlq}
}

// Make makes a queue and returns its URL.
func (s *Server) Make(name string, attributes map[string]string) string {
	s.TB.Helper()
	ctx, cancel := quick()
	defer cancel()
	out, err := s.API().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		s.TB.Fatalf("make the queue %s: %v", name, err)
	}
	return aws.ToString(out.QueueUrl)
}

// ARN is the ARN of a queue.
func (s *Server) ARN(url string) string { return s.Attributes(url)["QueueArn"] }

// Attributes are all the attributes of a queue.
func (s *Server) Attributes(url string) map[string]string {
	s.TB.Helper()
	ctx, cancel := quick()
	defer cancel()
	out, err := s.API().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		s.TB.Fatalf("ask for the attributes of %s: %v", url, err)
	}
	return out.Attributes
}

// Set changes attributes of a queue.
func (s *Server) Set(url string, attributes map[string]string) {
	s.TB.Helper()
	ctx, cancel := quick()
	defer cancel()
	if _, err := s.API().SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes}); err != nil {
		s.TB.Fatalf("change %s: %v", url, err)
	}
}

// Put sends a body to a queue, as another producer would.
func (s *Server) Put(url, body string) {
	s.TB.Helper()
	ctx, cancel := quick()
	defer cancel()
	in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}
	if strings.HasSuffix(url, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = aws.String("another producer"), aws.String(rand.Text())
	}
	if _, err := s.API().SendMessage(ctx, in); err != nil {
		s.TB.Fatalf("send to %s: %v", url, err)
	}
}

// Left counts what is in a queue, received or not.
func (s *Server) Left(url string) int {
	s.TB.Helper()
	a, sum := s.Attributes(url), 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(a[name])
		if err != nil {
			s.TB.Fatalf("%s of %s: %v", name, url, err)
		}
		sum += n
	}
	return sum
}

// Delete removes a queue.
func (s *Server) Delete(url string) {
	s.TB.Helper()
	ctx, cancel := quick()
	defer cancel()
	if _, err := s.API().DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		s.TB.Fatalf("delete %s: %v", url, err)
	}
}
