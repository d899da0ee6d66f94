package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// LogOptions says what is logged and how.
type LogOptions struct {
	Level   slog.Leveler // nil: info
	Format  string       // "text", "json", or "auto": text on a terminal, JSON otherwise; empty means auto
	Secrets []string     // values that must not appear, beside those that can be recognised
}

// NewLogger returns a logger that writes lines to w, os.Stderr in the binary, with
// every secret it knows or recognises replaced by [Redacted].
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	scrub := NewScrubber(o.Secrets)
	handle := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return scrub.attr(a) }}
	if o.Format == "text" || o.Format != "json" && isTerminal(w) {
		return slog.New(tracing{slog.NewTextHandler(w, handle)})
	}
	return slog.New(tracing{slog.NewJSONHandler(w, handle)})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// attr is a as it may be logged. A value without a secret stays what it is, so
// that numbers remain numbers.
func (s *Scrubber) attr(a slog.Attr) slog.Attr {
	if isSecretKey(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(s.Scrub(a.Value.String()))
	case slog.KindAny:
		for _, text := range texts(a.Value.Any()) {
			if clean := s.Scrub(text); clean != text {
				return slog.String(a.Key, clean)
			}
		}
	}
	return a
}

// texts lists how the handlers may write v: as it formats itself, and as JSON.
func texts(v any) []string {
	switch v := v.(type) {
	case error:
		return []string{v.Error()}
	case []byte:
		return []string{string(v)}
	}
	found := []string{fmt.Sprintf("%+v", v)}
	if b, err := json.Marshal(v); err == nil {
		found = append(found, string(b))
	}
	return found
}
