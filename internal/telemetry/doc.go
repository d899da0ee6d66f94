// Package telemetry is how the backend is seen from outside: the logger, the keys
// of its attributes, the metrics, and traces.
//
// It promises that no secret it can recognise reaches a log line. It imports the
// metrics client and OpenTelemetry, so that no other room has to; of the rooms it
// names job and directory, whose words are label values.
package telemetry
