package config

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// RateLimit is a change of a rate policy. Down is empty when it stays as it was.
type RateLimit struct {
	Policy string
	Limit  int
	Window time.Duration
	Down   string // local, open or closed
}

// RatePolicies are the names of the policies that can be changed.
var RatePolicies = []string{"public", "auth", "staff", "staff_write", "admin", "key_hour", "worker"}

// rates takes changes of rate policies with commas between them.
func rates(at func(*Config) *[]RateLimit) field {
	want := "changes with commas between them, such as public=200/1m or auth=10/15m/closed, of " + strings.Join(RatePolicies, ", ")
	return newField(want, at, func(s string) ([]RateLimit, error) {
		return items(s, func(item string, before []RateLimit) (RateLimit, error) {
			r, err := rate(item)
			if slices.ContainsFunc(before, func(b RateLimit) bool { return b.Policy == r.Policy }) {
				err = errWant
			}
			return r, err
		})
	}, func(rs []RateLimit) string { return join(rs, RateLimit.text) })
}

func rate(item string) (r RateLimit, err error) {
	name, how, ok := strings.Cut(item, "=")
	parts := strings.Split(how, "/")
	if !ok || len(parts) < 2 || len(parts) > 3 {
		return r, errWant
	}
	r.Policy = strings.TrimSpace(name)
	if r.Limit, err = wholeBetween(strings.TrimSpace(parts[0]), 1, 1_000_000); err != nil {
		return r, err
	}
	r.Window, err = time.ParseDuration(strings.TrimSpace(parts[1]))
	if err != nil || r.Window < time.Millisecond || r.Window > 24*time.Hour || r.Window%time.Millisecond != 0 {
		return r, errWant
	}
	if len(parts) == 3 {
		r.Down = strings.ToLower(strings.TrimSpace(parts[2]))
	}
	if !slices.Contains(RatePolicies, r.Policy) || !slices.Contains([]string{"", "local", "open", "closed"}, r.Down) {
		return r, errWant
	}
	return r, nil
}

func (r RateLimit) text() string {
	text := r.Policy + "=" + strconv.Itoa(r.Limit) + "/" + short(r.Window)
	if r.Down != "" {
		text += "/" + r.Down
	}
	return text
}
