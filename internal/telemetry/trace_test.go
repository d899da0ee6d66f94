package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/telemetry"
	"github.com/google/uuid"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// receiver takes traces in by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*traces.Span
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var got collector.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &got) != nil {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range got.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// sent are the spans that arrive until the tracer has ended.
func (r *receiver) sent(t *testing.T, tracer *telemetry.Tracer) map[string]*traces.Span {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tracer.Run(ctx); err != nil {
		t.Fatal(err)
	}
	byName := map[string]*traces.Span{}
	for _, s := range r.spans {
		byName[s.Name] = s
	}
	return byName
}

func TestSpansGoOnWithTheTraceOfWhoAsked(t *testing.T) {
	r := newReceiver(t)
	tracer, err := telemetry.NewTracer(r.URL+"/", "test", []string{"hunter22"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, request := tracer.Serve(telemetry.WithCaller(t.Context(), http.Header{"Traceparent": {traceparent}}), "POST", "/api/orders")
	handed := telemetry.Traceparent(ctx) // what an order keeps
	request.Status(201)
	request.End(nil)
	id := uuid.New()
	ctx, attempt := tracer.Start(telemetry.WithTrace(t.Context(), handed), "attempt")
	attempt.ID("job_id", id)
	attempt.Int("fence", 3)
	_, submission := tracer.Start(ctx, "submission")
	submission.Text("directory", "yelp")
	submission.End(errors.New("dial postgres://u:hunter22@db"))
	attempt.End(nil)
	tracer.Since(t.Context(), "claim", time.Now().Add(-time.Second)).End(nil)

	got := r.sent(t, tracer)
	if len(got) != 4 {
		t.Fatalf("%d spans arrived: %v", len(got), got)
	}
	for _, link := range []struct{ span, parent string }{
		{"POST /api/orders", callersSpan},
		{"attempt", hex.EncodeToString(got["POST /api/orders"].SpanId)},
		{"submission", hex.EncodeToString(got["attempt"].SpanId)},
	} {
		s := got[link.span]
		if hex.EncodeToString(s.TraceId) != callersTrace || hex.EncodeToString(s.ParentSpanId) != link.parent {
			t.Errorf("%s is in trace %x under %x, want %s under %s", link.span, s.TraceId, s.ParentSpanId, callersTrace, link.parent)
		}
	}
	if s := got["submission"].Status; s.Code != traces.Status_STATUS_CODE_ERROR || strings.Contains(s.Message, "hunter22") {
		t.Errorf("the failed span says %v", s)
	}
	if s := got["claim"]; s.EndTimeUnixNano-s.StartTimeUnixNano < uint64(time.Second) {
		t.Errorf("the claim took %d ns", s.EndTimeUnixNano-s.StartTimeUnixNano)
	}
	if len(got["attempt"].Attributes) != 2 || got["attempt"].Attributes[0].Value.GetStringValue() != id.String() {
		t.Errorf("attributes of the attempt: %v", got["attempt"].Attributes)
	}
}

func TestAnUnsoundTraceparentIsNone(t *testing.T) {
	for _, h := range []http.Header{
		{}, {"Traceparent": {""}}, {"Traceparent": {traceparent, traceparent}}, {"Traceparent": {"00-" + strings.Repeat("0", 32) + "-" + callersSpan + "-01"}},
		{"Traceparent": {"ff-" + callersTrace + "-" + callersSpan + "-01"}}, {"Traceparent": {strings.ToUpper(traceparent)}}, {"Traceparent": {traceparent + "-x"}},
	} {
		if got := telemetry.TraceID(telemetry.WithCaller(t.Context(), h)); got != "" {
			t.Errorf("%v is taken for trace %s", h, got)
		}
	}
}

func TestLogLinesNameTheTraceTheyBelongTo(t *testing.T) {
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, telemetry.LogOptions{Format: "json"}).With("host", "here")
	log.InfoContext(telemetry.WithTrace(t.Context(), traceparent), "traced")
	log.InfoContext(t.Context(), "untraced")
	lines := strings.Split(b.String(), "\n")
	if !strings.Contains(lines[0], `"trace_id":"`+callersTrace+`"`) || strings.Contains(lines[1], "trace_id") {
		t.Errorf("logged %s", b.String())
	}
}

func TestTracesThatNobodyTakesAreSaidOnceAndHarmNobody(t *testing.T) {
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer gone.Close()
	var b bytes.Buffer
	tracer, err := telemetry.NewTracer(gone.URL, "test", nil, telemetry.NewLogger(&b, telemetry.LogOptions{Format: "json"}))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "lost")
	span.End(nil)
	(&receiver{}).sent(t, tracer)
	if got := strings.Count(b.String(), "traces were not sent"); got != 1 {
		t.Errorf("said %d times: %s", got, b.String())
	}
}

// With no endpoint a span must cost nothing.
func BenchmarkSpanWhenOff(b *testing.B) {
	var off *telemetry.Tracer
	id, ctx := uuid.New(), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, span := off.Start(ctx, "attempt")
		span.ID("job_id", id)
		span.Int("fence", 1)
		span.End(nil)
	}
}

func BenchmarkSpanWhenOn(b *testing.B) {
	r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer r.Close()
	on, err := telemetry.NewTracer(r.URL, "test", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	id, ctx := uuid.New(), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, span := on.Start(ctx, "attempt")
		span.ID("job_id", id)
		span.Int("fence", 1)
		span.End(nil)
	}
}

func TestASpanThatIsOffAllocatesNothing(t *testing.T) {
	var off *telemetry.Tracer
	id := uuid.New()
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := off.Serve(telemetry.WithCaller(t.Context(), nil), "GET", "/")
		span.ID("job_id", id)
		span.Status(200)
		span.End(nil)
		off.Since(ctx, "claim", time.Time{}).End(nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
