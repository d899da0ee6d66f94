package httpform

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMethod(t testing.TB) *Method {
	t.Helper()
	c := webclient.New(webclient.Config{
		UserAgent: "DirectoryBolt/test", ContactURL: "https://directorybolt.example/bot",
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: 5 * time.Second,
	})
	t.Cleanup(c.Close)
	return New(c)
}

// acme is a business with everything a profile can have.
func acme(t testing.TB) *directory.Business {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 8, 8))
	img.Set(1, 1, color.RGBA{R: 200, A: 255})
	var logo bytes.Buffer
	if err := png.Encode(&logo, img); err != nil {
		t.Fatal(err)
	}
	return &directory.Business{
		Name: "Acme Plumbing", LegalName: "Acme Plumbing LLC", ContactName: "Ada Maria Smith", Email: "office@acme.example", Phone: "+15125550123",
		Website: "https://www.acme.example/", Street: "12 Main Street", City: "Austin", Region: "TX", PostalCode: "78701", Country: "US",
		Category: "plumber", Tagline: "We stop the drip", ShortDescription: "Plumbers in Austin since 1998.",
		Description: "Acme Plumbing repairs pipes, drains and heaters in Austin and around. Fair prices, day and night.",
		Keywords:    []string{"plumber", "drain cleaning", "water heater"}, Hours: "Mo-Fr 08:00-18:00",
		Logo:    "data:image/png;base64," + base64.StdEncoding.EncodeToString(logo.Bytes()),
		Socials: map[string]string{"facebook": "https://facebook.com/acme"}, YearFounded: 1998,
	}
}

// intent is an Intend that counts and gives an hour.
type intent struct{ calls atomic.Int32 }

func (i *intent) intend(context.Context) (submit.Deadline, error) {
	i.calls.Add(1)
	end := time.Now().Add(time.Hour)
	return func() time.Duration { return time.Until(end) }, nil
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}
