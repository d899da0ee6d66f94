package middleware

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// netlifySigned reports whether a token is a JWT (RFC 7519) that Netlify made with
// the secret, by HMAC-SHA256 and no other way, and that has not expired.
func netlifySigned(token string, secret []byte, now time.Time) bool {
	signed, signature, ok := cutLast(token, '.')
	header, claims, split := strings.Cut(signed, ".")
	if !ok || !split || strings.Contains(claims, ".") {
		return false
	}
	var how struct {
		Algorithm string `json:"alg"`
	}
	var what struct {
		Issuer  string `json:"iss"`
		Expires int64  `json:"exp"`
	}
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !decodePart(header, &how) || how.Algorithm != "HS256" {
		return false
	}
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(signed)) // a hash never fails
	if !hmac.Equal(mac, h.Sum(nil)) {
		return false
	}
	return decodePart(claims, &what) && what.Issuer == "netlify" && now.Unix() < what.Expires
}

func decodePart(part string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(b, into) == nil
}

func cutLast(s string, separator byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
