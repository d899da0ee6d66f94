// Package telemetry is how the backend is seen from outside: the logger, the keys
// of its attributes, and the metrics.
//
// It promises that no secret it can recognise reaches a log line. It imports one
// library, the metrics client, so that no other room has to; of the rooms it
// names job and directory, whose words are label values.
package telemetry
