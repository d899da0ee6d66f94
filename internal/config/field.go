package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errWant is a parser's only complaint. What is allowed stands in field.want; a
// parser's own words could repeat a secret.
var errWant = errors.New("not allowed")

// field ties a setting to its place in Config.
type field struct {
	want string // what is allowed, in words
	set  func(c *Config, text string) error
	get  func(c *Config) string // as it could be set; empty: nothing
}

func newField[T any](want string, at func(*Config) *T, parse func(string) (T, error), format func(T) string) field {
	return field{
		want: want,
		set: func(c *Config, text string) error {
			v, err := parse(text)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		get: func(c *Config) string { return format(*at(c)) },
	}
}

func itself(s string) string { return s }

// text takes anything.
func text(want string, at func(*Config) *string) field {
	return newField(want, at, func(s string) (string, error) { return s, nil }, itself)
}

// longText takes anything of at least so many bytes.
func longText(want string, least int, at func(*Config) *string) field {
	return newField(want, at, func(s string) (string, error) {
		if len(s) < least {
			return "", errWant
		}
		return s, nil
	}, itself)
}

// flag takes on or off.
func flag(at func(*Config) *bool) field {
	return newField("one of on, off", at, func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "on", "true":
			return true, nil
		case "off", "false":
			return false, nil
		}
		return false, errWant
	}, func(b bool) string {
		if b {
			return "on"
		}
		return "off"
	})
}

// oneOf takes one of the words.
func oneOf(at func(*Config) *string, words ...string) field {
	return newField("one of "+strings.Join(words, ", "), at, func(s string) (string, error) {
		if s = strings.ToLower(s); !slices.Contains(words, s) {
			return "", errWant
		}
		return s, nil
	}, itself)
}

// whole takes a whole number between two bounds.
func whole(at func(*Config) *int, low, high int) field {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	return newField(want, at, func(s string) (int, error) { return wholeBetween(s, low, high) }, strconv.Itoa)
}

func wholeBetween(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, errWant
	}
	return n, nil
}

// count takes a duration as a number of units, for names that say the unit.
func count(unit time.Duration, at func(*Config) *time.Duration, low, high float64) field {
	want := fmt.Sprintf("a number from %g to %g", low, high)
	return newField(want, at, func(s string) (time.Duration, error) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || !(n >= low && n <= high) { // NaN is neither
			return 0, errWant
		}
		return time.Duration(n * float64(unit)), nil
	}, func(d time.Duration) string { return strconv.FormatFloat(float64(d)/float64(unit), 'f', -1, 64) })
}

// span takes a duration with its unit.
func span(at func(*Config) *time.Duration, low, high time.Duration) field {
	want := fmt.Sprintf("a duration with its unit, from %s to %s", short(low), short(high))
	return newField(want, at, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < low || d > high {
			return 0, errWant
		}
		return d, nil
	}, short)
}

// spans takes growing durations with commas between them.
func spans(at func(*Config) *[]time.Duration) field {
	want := "durations with their units and commas between them, each longer than the one before"
	return newField(want, at, func(s string) ([]time.Duration, error) {
		return items(s, func(item string, before []time.Duration) (time.Duration, error) {
			d, err := time.ParseDuration(item)
			if err != nil || d <= 0 || len(before) > 0 && d <= before[len(before)-1] {
				return 0, errWant
			}
			return d, nil
		})
	}, func(ds []time.Duration) string { return join(ds, short) })
}

// prefixes takes addresses and address ranges with commas between them.
func prefixes(at func(*Config) *[]netip.Prefix) field {
	want := "addresses or ranges (CIDR) with commas between them, such as 10.0.0.0/8, ::1"
	return newField(want, at, func(s string) ([]netip.Prefix, error) {
		return items(s, func(item string, _ []netip.Prefix) (netip.Prefix, error) { return prefix(item) })
	}, func(ps []netip.Prefix) string { return join(ps, netip.Prefix.String) })
}

// prefix reads a range, or an address as the range of itself. Bits behind the
// mask are refused: 10.0.0.1/8 is more often a slip than a wish.
func prefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() {
		return netip.Prefix{}, errWant
	}
	return p, nil
}

// address takes an IP address to listen on.
func address(at func(*Config) *string) field {
	return newField("an IP address of this machine, such as 127.0.0.1 or 0.0.0.0", at, func(s string) (string, error) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return "", errWant
		}
		return a.String(), nil
	}, itself)
}

// listening takes an address of this machine and a port.
func listening(at func(*Config) *string) field {
	return newField("an IP address and a port, such as 127.0.0.1:9090 or 0.0.0.0:9090", at, func(s string) (string, error) {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			return "", errWant
		}
		return a.String(), nil
	}, itself)
}

// link takes a URL with a host.
func link(at func(*Config) *string, schemes ...string) field {
	want := "a URL that begins with " + strings.Join(schemes, ":// or ") + "://"
	return newField(want, at, func(s string) (string, error) { return hosted(s, schemes) }, itself)
}

func hosted(s string, schemes []string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" {
		return "", errWant
	}
	return s, nil
}

// links takes up to most different URLs with commas between them.
func links(at func(*Config) *[]string, most int, schemes ...string) field {
	want := fmt.Sprintf("up to %d different URLs with commas between them, each beginning with %s://", most, strings.Join(schemes, ":// or "))
	return newField(want, at, func(s string) ([]string, error) {
		return items(s, func(item string, before []string) (string, error) {
			if len(before) == most || slices.Contains(before, item) {
				return "", errWant
			}
			return hosted(item, schemes)
		})
	}, func(list []string) string { return join(list, itself) })
}

// webhook takes an address that is a secret: it must not travel in the clear, unless it
// does not leave this machine.
func webhook(at func(*Config) *string) field {
	return newField("a URL that begins with https://, or with http:// on this machine", at, func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return "", errWant
		}
		return s, nil
	}, itself)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// signing takes the secret of Standard Webhooks.
func signing(at func(*Config) *string) field {
	return newField("whsec_ and base64, of 24 bytes at least", at, func(s string) (string, error) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || len(key) < 24 {
			return "", errWant
		}
		return s, nil
	}, itself)
}

// postgres takes a connection URL. A host is not needed: it may be a socket,
// named in the query.
func postgres(at func(*Config) *string) field {
	return newField("a URL that begins with postgres:// or postgresql://", at, func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return "", errWant
		}
		return s, nil
	}, itself)
}

// contact takes what a webmaster can reach us by.
func contact(at func(*Config) *string) field {
	return newField("a URL that begins with https://, http:// or mailto:", at, func(s string) (string, error) {
		u, err := url.Parse(s)
		web := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
		post := err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@")
		if !web && !post {
			return "", errWant
		}
		return s, nil
	}, itself)
}

// addresses takes e-mail addresses with commas between them.
func addresses(at func(*Config) *[]string) field {
	return newField("e-mail addresses with commas between them", at, func(s string) ([]string, error) {
		return items(s, func(item string, _ []string) (string, error) {
			a, err := mail.ParseAddress(item)
			if err != nil {
				return "", errWant
			}
			return a.Address, nil
		})
	}, func(list []string) string { return join(list, itself) })
}

// level takes the name of a log level.
func level(at func(*Config) *slog.Level) field {
	return newField("one of debug, info, warn, error", at, func(s string) (slog.Level, error) {
		switch strings.ToLower(s) {
		case "debug":
			return slog.LevelDebug, nil
		case "info":
			return slog.LevelInfo, nil
		case "warn", "warning":
			return slog.LevelWarn, nil
		case "error":
			return slog.LevelError, nil
		}
		return 0, errWant
	}, func(l slog.Level) string { return strings.ToLower(l.String()) })
}

// items parses what stands between commas; parse also sees what came before.
func items[T any](s string, parse func(item string, before []T) (T, error)) ([]T, error) {
	var list []T
	for item := range strings.SplitSeq(s, ",") {
		v, err := parse(strings.TrimSpace(item), list)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func join[T any](list []T, format func(T) string) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = format(v)
	}
	return strings.Join(words, ",")
}

// short is the duration without the zero parts that time.Duration prints: 1h, not
// 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// redacted is what may be shown of a secret: the scheme and host of a URL, which
// say what it leads to, and otherwise only that it is set. Where an @ stands
// behind the host, a password was not escaped and its head may look like a host.
func redacted(secret string) string {
	u, err := url.Parse(secret)
	if err != nil || u.Host == "" || strings.Contains(u.RequestURI()+u.Fragment, "@") {
		return "[redacted]"
	}
	return u.Scheme + "://" + u.Host + "/[redacted]"
}
