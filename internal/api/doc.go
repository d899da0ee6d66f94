// Package api answers over HTTP: probes, and the JSON API of orders, jobs, keys and
// workers. routes.go is its index; each noun has a file with its handlers and the
// shapes of its bodies.
//
// A handler decodes, calls and encodes, and returns an error; errors.go is the one
// place that turns errors into problem documents (RFC 9457), with a stable code, a
// sentence for people, and neither SQL nor a stack nor a secret. Every route names who
// may ask it; a route that names nobody is refused at start.
package api
