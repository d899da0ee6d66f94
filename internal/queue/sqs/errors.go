package sqs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Error is what SQS refused, or why it could not be asked.
type Error struct {
	Action string // of the API, such as SendMessage
	Queue  string // its name
	Code   string // of SQS; empty: it did not answer

	err error
}

// Error says what to do about it, where that is known.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s on the queue %s: %s", e.Action, e.Queue, short(e.err))
	if r := e.Remedy(); r != "" {
		text += "; " + r
	}
	return text
}

func (e *Error) Unwrap() error { return e.err }

// short is the message of SQS, without what the SDK tells of its own workings.
func short(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		if api.ErrorMessage() == "" {
			return codeOf(err)
		}
		return codeOf(err) + ": " + api.ErrorMessage()
	}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// Remedy says what mends it; empty when nothing is known.
func (e *Error) Remedy() string {
	switch {
	case e.Denied():
		return "grant sqs:" + permission(e.Action) + " on it to the identity of this process"
	case strings.HasPrefix(e.Code, "Kms") || strings.HasPrefix(e.Code, "KMS."):
		return e.kmsRemedy()
	}
	switch e.Code {
	case "QueueDoesNotExist":
		return "check SQS_QUEUE_URL, SQS_DLQ_URL and AWS_REGION, or make it: directorybolt queue create"
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidSecurity":
		return "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
	case "":
		return silentRemedy(e.err)
	}
	return ""
}

// kmsRemedy: SQS calls KMS in our name, so the permission must be ours.
func (e *Error) kmsRemedy() string {
	switch e.Code {
	case "KmsAccessDenied", "KMS.AccessDeniedException":
		return "grant kms:Decrypt, and to send also kms:GenerateDataKey, on the queue's key to the identity of this process, in its policy and in the key's"
	case "KmsDisabled", "KmsInvalidState", "KMS.DisabledException":
		return "enable the queue's key in KMS, or give the queue another one"
	case "KmsNotFound", "KMS.NotFoundException":
		return "the queue's key is gone: give the queue another one"
	case "KmsThrottled":
		return "raise KmsDataKeyReusePeriodSeconds of the queue"
	}
	return "see the queue's key in KMS"
}

// silentRemedy is about a call that SQS did not answer. The SDK tells these apart
// by their text alone.
func silentRemedy(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "get credentials"), strings.Contains(text, "get identity"):
		return "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them"
	case strings.Contains(text, "Missing Region"):
		return "set AWS_REGION"
	}
	return ""
}

// Denied reports a missing permission.
func (e *Error) Denied() bool {
	switch e.Code {
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation":
		return true
	}
	return false
}

// permission is the IAM action behind an action of the API: batches have none of
// their own.
func permission(action string) string { return strings.TrimSuffix(action, "Batch") }

// failed makes an [Error] of what a call returned.
func failed(action, queue string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Action: action, Queue: queue, Code: codeOf(err), err: err}
}

// codeOf is the code of an error of SQS. The same error has two names: that of the
// JSON protocol and that of the query protocol before it.
func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	var gone *types.QueueDoesNotExist
	if errors.As(err, &gone) {
		return "QueueDoesNotExist"
	}
	code := api.ErrorCode()
	code = code[strings.LastIndexByte(code, '#')+1:]
	code = strings.TrimPrefix(code, "AWS.SimpleQueueService.")
	if code == "NonExistentQueue" {
		return "QueueDoesNotExist"
	}
	return code
}

// CodeOf is the code of SQS in err; empty when there is none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
