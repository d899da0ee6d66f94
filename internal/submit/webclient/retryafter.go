package webclient

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a host may ask for.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads how long a host asked to be left alone, in seconds or as a
// date. It reports whether the host asked at all; what cannot be read, and a
// moment that has passed, is zero.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	seconds, err := strconv.ParseUint(v, 10, 64) // of a number too large it answers the largest
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter), true
	}
	return 0, true
}
