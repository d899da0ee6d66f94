package api

import (
	"net/http"

	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// Tracer makes spans.
type Tracer = telemetry.Tracer

// traced begins the span of a request, in the trace of its client, which also the log
// lines under its context name.
func (s *server) traced(r *http.Request, rt route, id string) (*http.Request, telemetry.Span) {
	ctx, span := s.Tracer.Serve(telemetry.WithCaller(r.Context(), r.Header), r.Method, rt.path)
	span.Text(telemetry.KeyRequest, id)
	return r.WithContext(ctx), span
}
