package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/idempotency"
)

// idempotencyHeader is the draft's.
const idempotencyHeader = "Idempotency-Key"

// once lets a request that creates something carry an Idempotency-Key: the same
// request again is answered as before, and nothing is done twice.
func (s *server) once(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		key := r.Header.Get(idempotencyHeader)
		if key == "" {
			return h(w, r)
		}
		if len(key) > idempotency.MaxKey {
			return invalid("%s has more than %d bytes", idempotencyHeader, idempotency.MaxKey)
		}
		data, err := body(r)
		if err != nil {
			return err
		}
		owner, print := identityOf(r.Context()).KeyID, idempotency.FingerprintOf(r.Method, r.URL.Path, data)
		before, err := s.Store.BeginRequest(r.Context(), owner, key, print)
		if err != nil {
			return err
		}
		if before != nil {
			return repeat(w, before)
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		kept := &recorder{ResponseWriter: w}
		err = h(kept, r)
		if end := s.endRequest(r.Context(), owner, key, print, kept.answer(err)); end != nil {
			s.Log.WarnContext(r.Context(), "answer not kept, the client that asks again may wait", "request_id", requestID(r.Context()), "error", end.Error())
		}
		return err
	}
}

// endRequest outlives the request: whoever hung up asks again.
func (s *server) endRequest(ctx context.Context, owner, key string, f idempotency.Fingerprint, a *idempotency.Answer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Store.EndRequest(ctx, owner, key, f, a)
}

// repeat answers as before.
func repeat(w http.ResponseWriter, a *idempotency.Answer) error {
	h := w.Header()
	h.Set("Idempotency-Replayed", "true")
	h.Set("Content-Type", a.ContentType)
	if a.Location != "" {
		h.Set("Location", a.Location)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a client that hung up is no fault of ours
	return nil
}

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status  int
	body    bytes.Buffer
	instead *idempotency.Answer // what to keep where the answer holds a secret
}

// answerOnce answers what only this request may be told. Who asks again is answered 200
// with again, and nothing else is kept.
func answerOnce(w http.ResponseWriter, status int, v, again any) error {
	if k, ok := w.(*recorder); ok {
		data, err := json.Marshal(again)
		if err != nil {
			return err
		}
		k.instead = &idempotency.Answer{Status: http.StatusOK, ContentType: "application/json", Body: append(data, '\n')}
	}
	return answerJSON(w, status, v)
}

func (k *recorder) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *recorder) Write(b []byte) (int, error) {
	k.body.Write(b)
	return k.ResponseWriter.Write(b)
}

// answer is what to keep: nothing of a refusal, after which the key is free again for
// the request as it should have been.
func (k *recorder) answer(err error) *idempotency.Answer {
	if err != nil || k.status == 0 {
		return nil
	}
	if k.instead != nil {
		return k.instead
	}
	h := k.Header()
	return &idempotency.Answer{Status: k.status, ContentType: h.Get("Content-Type"), Location: h.Get("Location"), Body: k.body.Bytes()}
}
