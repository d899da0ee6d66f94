package middleware

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// request comes from a peer with header lines "Name: value".
func request(peer string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/x", nil)
	r.RemoteAddr = peer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestClientIsTheRightmostAddressThatNobodyVouchesFor(t *testing.T) {
	ranges := Proxies{Ranges: prefixes("10.0.0.0/8", "fd00::/8")}
	rfc := Proxies{Ranges: ranges.Ranges, Forwarded: true}
	for name, c := range map[string]struct {
		proxies Proxies
		r       *http.Request
		want    string // empty: none
	}{
		"nobody is trusted":             {Proxies{}, request("198.51.100.7:1234", "X-Forwarded-For: 203.0.113.1"), "198.51.100.7"},
		"the peer is not trusted":       {ranges, request("198.51.100.7:1234", "X-Forwarded-For: 203.0.113.1"), "198.51.100.7"},
		"one proxy":                     {ranges, request("10.0.0.1:80", "X-Forwarded-For: 203.0.113.1"), "203.0.113.1"},
		"a forged address on the left":  {ranges, request("10.0.0.1:80", "X-Forwarded-For: 192.0.2.66, 203.0.113.1"), "203.0.113.1"},
		"a forged line before":          {ranges, request("10.0.0.1:80", "X-Forwarded-For: 192.0.2.66", "X-Forwarded-For: 203.0.113.1"), "203.0.113.1"},
		"a row of proxies":              {ranges, request("10.0.0.1:80", "X-Forwarded-For: 192.0.2.66, 203.0.113.1, 10.2.2.2,10.1.1.1"), "203.0.113.1"},
		"forged to look like a proxy":   {ranges, request("10.0.0.1:80", "X-Forwarded-For: 10.9.9.9, 203.0.113.1"), "203.0.113.1"},
		"all are proxies":               {ranges, request("10.0.0.1:80", "X-Forwarded-For: 10.3.3.3, 10.2.2.2"), "10.3.3.3"},
		"no header":                     {ranges, request("10.0.0.1:80"), "10.0.0.1"},
		"what cannot be read":           {ranges, request("10.0.0.1:80", "X-Forwarded-For: 203.0.113.1, nonsense, 10.1.1.1"), "10.1.1.1"},
		"an empty header":               {ranges, request("10.0.0.1:80", "X-Forwarded-For: "), "10.0.0.1"},
		"an address with its port":      {ranges, request("10.0.0.1:80", "X-Forwarded-For: 203.0.113.1:4711"), "203.0.113.1"},
		"IPv6 in brackets with a port":  {ranges, request("[fd00::1]:80", "X-Forwarded-For: [2001:db8::1]:4711"), "2001:db8::1"},
		"IPv4 in IPv6":                  {ranges, request("[::ffff:10.0.0.1]:80", "X-Forwarded-For: ::ffff:203.0.113.1"), "203.0.113.1"},
		"a zone":                        {Proxies{}, request("[fe80::1%eth0]:80"), "fe80::1"},
		"the other header":              {ranges, request("10.0.0.1:80", "Forwarded: for=203.0.113.1"), "10.0.0.1"},
		"X-Real-IP":                     {ranges, request("10.0.0.1:80", "X-Real-Ip: 203.0.113.1"), "10.0.0.1"},
		"Forwarded":                     {rfc, request("10.0.0.1:80", `Forwarded: for=192.0.2.66, for="[2001:db8::1]:4711";proto=https`), "2001:db8::1"},
		"Forwarded, any case and order": {rfc, request("10.0.0.1:80", `Forwarded: proto=http;FOR="203.0.113.1";by=10.0.0.1`), "203.0.113.1"},
		"Forwarded with a comma quoted": {rfc, request("10.0.0.1:80", `Forwarded: for=203.0.113.1;by="a,for=192.0.2.66"`), "203.0.113.1"},
		"Forwarded by an unknown":       {rfc, request("10.0.0.1:80", `Forwarded: for=203.0.113.1, for=unknown, for=10.1.1.1`), "10.1.1.1"},
		"Forwarded, the other header":   {rfc, request("10.0.0.1:80", "X-Forwarded-For: 203.0.113.1"), "10.0.0.1"},
		"one hop":                       {Proxies{Hops: 1}, request("198.51.100.7:1", "X-Forwarded-For: 192.0.2.66, 203.0.113.1"), "203.0.113.1"},
		"two hops":                      {Proxies{Hops: 2}, request("198.51.100.7:1", "X-Forwarded-For: 192.0.2.66, 203.0.113.1, 198.51.100.8"), "203.0.113.1"},
		"fewer hops than said":          {Proxies{Hops: 3}, request("198.51.100.7:1", "X-Forwarded-For: 203.0.113.1"), "203.0.113.1"},
		"hops, no header":               {Proxies{Hops: 1}, request("198.51.100.7:1"), "198.51.100.7"},
		"hops, what cannot be read":     {Proxies{Hops: 2}, request("198.51.100.7:1", "X-Forwarded-For: nonsense, 198.51.100.8"), "198.51.100.8"},
		"a socket":                      {ranges, request("@", "X-Forwarded-For: 203.0.113.1"), ""},
		"a socket with hops":            {Proxies{Hops: 1}, request("@", "X-Forwarded-For: 192.0.2.66, 203.0.113.1"), "203.0.113.1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := c.proxies.Client(c.r)
			if known != (c.want != "") || known && got.String() != c.want {
				t.Errorf("client %v (known: %v), want %q", got, known, c.want)
			}
		})
	}
}

// token is a JWT as Netlify makes it.
func token(secret, header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(signed))
	return signed + "." + encode(h.Sum(nil))
}

func TestNetlifyIsBelievedWhenItSigned(t *testing.T) {
	const hs256 = `{"alg":"HS256","typ":"JWT"}`
	claims := func(issuer string, left time.Duration) string {
		return fmt.Sprintf(`{"deploy_context":"production","netlify_id":"x","site_url":"https://example.org","iss":%q,"exp":%d}`,
			issuer, time.Now().Add(left).Unix())
	}
	good := token("secret", hs256, claims("netlify", time.Minute))
	for name, c := range map[string]struct {
		token string
		want  string
	}{
		"signed":              {good, "203.0.113.1"},
		"another secret":      {token("other", hs256, claims("netlify", time.Minute)), "198.51.100.7"},
		"expired":             {token("secret", hs256, claims("netlify", -time.Minute)), "198.51.100.7"},
		"another issuer":      {token("secret", hs256, claims("somebody", time.Minute)), "198.51.100.7"},
		"no expiry":           {token("secret", hs256, `{"iss":"netlify"}`), "198.51.100.7"},
		"another algorithm":   {token("secret", `{"alg":"none"}`, claims("netlify", time.Minute)), "198.51.100.7"},
		"a signature cut off": {good[:strings.LastIndexByte(good, '.')+1], "198.51.100.7"},
		"a part too many":     {good + ".x", "198.51.100.7"},
		"nonsense":            {"a.b.c", "198.51.100.7"},
		"none":                {"", "198.51.100.7"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("198.51.100.7:1", "X-Nf-Client-Connection-Ip: 203.0.113.1", "X-Nf-Sign: "+c.token, "X-Forwarded-For: 192.0.2.66")
			if got, _ := (Proxies{NetlifySecret: []byte("secret")}).Client(r); got.String() != c.want {
				t.Errorf("client %s, want %s", got, c.want)
			}
			if got, _ := (Proxies{}).Client(r); got.String() != "198.51.100.7" {
				t.Errorf("without a secret the client is %s", got)
			}
		})
	}
}

// Whatever a client writes in front of what our proxies append changes nothing.
func FuzzClientCannotChooseWhoHeIs(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", `for="[::1]:80", for=x`, `"`, `\"`, `,,;=`, "10.0.0.1, 10.0.0.2", `for="a\"`, "a.b.c"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, forged, sign string) {
		if strings.ContainsAny(forged+sign, "\r\n\x00") {
			return // no header can hold it
		}
		for _, p := range []Proxies{
			{}, {Ranges: prefixes("10.0.0.0/8")}, {Ranges: prefixes("10.0.0.0/8"), Forwarded: true},
			{Hops: 1}, {Hops: 1, Forwarded: true}, {Ranges: prefixes("10.0.0.0/8"), NetlifySecret: []byte("secret")},
		} {
			// As a line of its own, the way a client's header reaches us; a proxy appends another.
			r := request("10.0.0.1:80", "X-Forwarded-For: "+forged, "X-Forwarded-For: 203.0.113.1", "Forwarded: "+forged, "Forwarded: for=203.0.113.1",
				"X-Nf-Sign: "+sign, "X-Nf-Client-Connection-Ip: 192.0.2.66")
			want := "203.0.113.1"
			if len(p.Ranges) == 0 && p.Hops == 0 {
				want = "10.0.0.1"
			}
			if got, known := p.Client(r); !known || got.String() != want {
				t.Errorf("%+v, forged %q: client %s, want %s", p, forged, got, want)
			}
		}
	})
}
