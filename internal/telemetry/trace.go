package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// traceHeader is that of W3C Trace Context.
const traceHeader = "Traceparent"

// WithCaller is the context of a request that may belong to a client's trace: then log
// lines and spans made under it name that trace. A header that is not sound is as if it
// were not there.
func WithCaller(ctx context.Context, h http.Header) context.Context {
	if len(h[traceHeader]) != 1 {
		return ctx
	}
	return WithTrace(ctx, h[traceHeader][0])
}

// WithTrace is the context of work that belongs to the trace of a traceparent; an empty
// or unsound one changes nothing.
func WithTrace(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// Traceparent names the trace that ctx belongs to, and the span that it is in, for
// others to go on with. Empty: none.
func Traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c["traceparent"]
}

// TraceID names the trace that ctx belongs to. Empty: none.
func TraceID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// tracing adds the trace to every line that is logged under a context which has one.
type tracing struct{ slog.Handler }

func (t tracing) Handle(ctx context.Context, r slog.Record) error {
	if id := TraceID(ctx); id != "" {
		r.AddAttrs(slog.String(KeyTrace, id))
	}
	return t.Handler.Handle(ctx, r)
}

func (t tracing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracing{t.Handler.WithAttrs(attrs)}
}

func (t tracing) WithGroup(name string) slog.Handler { return tracing{t.Handler.WithGroup(name)} }

// Tracer makes spans and sends them by OTLP over HTTP. A nil Tracer makes none and
// costs nothing. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	scrub    *Scrubber
}

// NewTracer sends to an endpoint, the base of its URL; /v1/traces is added. Nothing is
// sent before the first span ends. What cannot be sent is dropped, and said at most once
// a minute. Secrets are taken out of the texts of errors, as out of the log.
func NewTracer(endpoint, version string, secrets []string, log *slog.Logger) (*Tracer, error) {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "directorybolt"), attribute.String("service.version", version),
		)),
	)
	otel.SetErrorHandler(&traceFaults{log: log})
	return &Tracer{provider, provider.Tracer("github.com/directorybolt/directorybolt"), NewScrubber(secrets)}, nil
}

// traceFaults hears what could not be sent.
type traceFaults struct {
	log  *slog.Logger
	said atomic.Int64 // Unix seconds
}

// Handle implements otel.ErrorHandler.
func (f *traceFaults) Handle(err error) {
	now := time.Now().Unix()
	if said := f.said.Load(); now-said >= 60 && f.said.CompareAndSwap(said, now) {
		f.log.Warn("traces were not sent, some are lost", KeyError, err.Error())
	}
}

// traceFlush bounds what is sent at the end.
const traceFlush = 5 * time.Second

// Run sends what is left when ctx ends, and no more after. A nil Tracer waits for that.
func (t *Tracer) Run(ctx context.Context) error {
	<-ctx.Done()
	if t == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceFlush) // the process is about to end
	defer cancel()
	if err := t.provider.Shutdown(last); err != nil {
		otel.Handle(err) // traces are no reason to fail
	}
	return nil
}

// Span is a piece of work in a trace. The zero Span is none.
type Span struct {
	span  trace.Span
	scrub *Scrubber
}

// Start begins a span under that of ctx, and returns a context for what happens in it.
func (t *Tracer) Start(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, Span{span, t.scrub}
}

// Serve begins the span of a request that is answered.
func (t *Tracer) Serve(ctx context.Context, method, route string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route)))
	return ctx, Span{span, t.scrub}
}

// Since begins a span that began earlier, for work that is worth one only when it has
// come to something.
func (t *Tracer) Since(ctx context.Context, name string, begun time.Time) Span {
	if t == nil {
		return Span{}
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(begun))
	return Span{span, t.scrub}
}

// Text adds a word to a span.
func (s Span) Text(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// ID adds an id to a span.
func (s Span) ID(key string, id uuid.UUID) {
	if s.span != nil && id != uuid.Nil {
		s.span.SetAttributes(attribute.String(key, id.String()))
	}
}

// Int adds a number to a span.
func (s Span) Int(key string, n int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, n))
	}
}

// Status adds the status of an answer; one of 500 and more is an error.
func (s Span) Status(status int) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(otelcodes.Error, "")
	}
}

// End ends a span, with the error that the work ended with, if any.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(otelcodes.Error, s.scrub.Scrub(err.Error()))
	}
	s.span.End()
}
