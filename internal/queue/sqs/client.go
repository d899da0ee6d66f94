package sqs

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Config says how to reach SQS. What is empty is found as the AWS SDK finds it: in
// the environment, in its files, from the role of the machine.
type Config struct {
	Region          string // empty: that of QueueURL, else the SDK's
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Endpoint        string // another SQS than AWS's
	QueueURL        string // of any queue there; tells the region where nothing else does
}

// callTimeout bounds one call, its repetitions included.
const callTimeout = 15 * time.Second

// Client speaks to SQS. It is safe for concurrent use.
type Client struct{ api *sqs.Client }

// Open reads the SDK's settings. It asks SQS nothing.
func Open(ctx context.Context, c Config) (*Client, error) {
	var options []func(*config.LoadOptions) error
	if c.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)))
	}
	if region := cmp.Or(c.Region, regionOf(c.QueueURL)); region != "" {
		options = append(options, config.WithRegion(region))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("read the settings of the AWS SDK: %w", err)
	}
	if settings.Region == "" && c.Endpoint != "" {
		settings.Region = "us-east-1" // an emulator has one; the signature wants a name
	}
	return &Client{sqs.NewFromConfig(settings, func(o *sqs.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})}, nil
}

// regionOf is the region in the URL of a queue of AWS; empty for another one.
func regionOf(queueURL string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ""
	}
	labels := strings.Split(u.Hostname(), ".")
	if len(labels) >= 4 && labels[0] == "sqs" && labels[2] == "amazonaws" {
		return labels[1]
	}
	return ""
}

// nameOf is the name of a queue: the last part of its URL.
func nameOf(queueURL string) string {
	path := strings.TrimRight(queueURL, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// isFIFO: SQS tells the kind of a queue by its name.
func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }

// seconds rounds up: SQS counts whole ones, and what is hidden too short is
// received twice.
func seconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }
