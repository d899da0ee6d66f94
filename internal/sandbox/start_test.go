package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a sandbox for the length of a test.
func start(t testing.TB, cfg Config) *Sandbox {
	t.Helper()
	b, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestStartNamesEveryFaultOfTheSettings(t *testing.T) {
	_, err := Start(t.Context(), Config{Count: -1, Addr: "0.0.0.0", BasePort: 70000, Scale: -2, Behaviours: []string{"plain", "psychic"}})
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{"count -1", `address "0.0.0.0"`, "loopback", "base port 70000", "scale -2", `"psychic"`, "choose from", "three_steps"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s:\n%v", want, err)
		}
	}
}

func TestStartOnATakenPortLeavesNothingOpen(t *testing.T) {
	base := freePorts(t, 4)
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Start(t.Context(), Config{Count: 3, BasePort: base})
	if err == nil || !strings.Contains(err.Error(), "choose another base port") {
		t.Fatalf("error %v, want one with a remedy", err)
	}
	for _, port := range []int{base, base + 2, base + 3} {
		if !refusedConnection(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) {
			t.Errorf("port %d is still open", port)
		}
	}
}

func TestBasePortKeepsTheCatalogValidOverARestart(t *testing.T) {
	cfg := Config{Count: 3, BasePort: freePorts(t, 4), Seed: 7, Behaviours: []string{"plain", "unreachable", "labels"}}
	first, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := first.Catalog()
	newVisitor(t, before[0], business(1)).submit()
	first.Close()
	second := start(t, cfg)
	if diff := cmp.Diff(second.Catalog(), before); diff != "" {
		t.Errorf("the catalog changed (-after +before):\n%s", diff)
	}
	if state, _ := newVisitor(t, before[2], business(1)).submit(); state != "submitted" {
		t.Errorf("a submission by the old catalog is %s", state)
	}
}

// freePorts finds n ports in a row.
func freePorts(t testing.TB, n int) int {
	t.Helper()
search:
	for base := 20000; base < 30000; base += n {
		for i := range n {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+i)))
			if err != nil {
				continue search
			}
			l.Close()
		}
		return base
	}
	t.Fatal("no free ports")
	return 0
}

func TestDirectoryWithoutListenerRefusesConnections(t *testing.T) {
	b := start(t, Config{Count: 1, Behaviours: []string{"unreachable"}})
	u, err := url.Parse(b.Catalog()[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	if !refusedConnection(t.Context(), u.Host) {
		t.Errorf("somebody listens on %s", u.Host)
	}
}

func TestSeedDecidesTheNames(t *testing.T) {
	names := func(seed int64) (out []string) {
		for _, d := range start(t, Config{Count: 300, Seed: seed, Behaviours: []string{"unreachable"}}).Catalog() {
			out = append(out, d.Name)
		}
		return out
	}
	first := names(1)
	if diff := cmp.Diff(names(1), first); diff != "" {
		t.Errorf("the same seed gave other names:\n%s", diff)
	}
	if cmp.Equal(names(2), first) {
		t.Error("another seed gave the same names")
	}
	seen := map[string]bool{}
	for _, n := range first {
		if seen[n] {
			t.Errorf("two directories are called %s", n)
		}
		seen[n] = true
	}
}

func TestCloseEndsDelaysAtOnce(t *testing.T) {
	b := start(t, Config{Count: 1, Behaviours: []string{"slow"}, Scale: 100})
	answered := make(chan error, 1)
	v := newVisitor(t, b.Catalog()[0], business(1))
	go func() {
		_, err := v.post(mustGet(t, v), v.d.Form.Steps[0])
		answered <- err
	}()
	if !eventually(func() bool { return len(b.Witness().Directories[0].Accepted) == 1 }) {
		t.Fatal("the post did not arrive")
	}
	began := time.Now()
	b.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("close took %s", took)
	}
	if err := <-answered; err == nil {
		t.Error("the slow answer came although the sandbox was closed")
	}
	b.Close()
}

func TestEndOfContextClosesTheSandbox(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b, err := Start(ctx, Config{Count: 2})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, address := range []string{b.URL(), b.Catalog()[0].URL} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if !eventually(func() bool { return refusedConnection(t.Context(), u.Host) }) {
			t.Errorf("%s is still open", address)
		}
	}
	b.Close()
}

func TestControlPageShowsWitnessAndCatalogAndForgets(t *testing.T) {
	b := start(t, Config{Count: 3, Behaviours: []string{"plain", "email_confirmation", "cut_without_lookup"}})
	for _, d := range b.Catalog() {
		newVisitor(t, d, business(1)).submit()
	}
	newVisitor(t, b.Catalog()[0], business(1)).submit()

	var got Witness
	if err := json.Unmarshal(fetch(t, b.URL()+"/witness"), &got); err != nil {
		t.Fatal(err)
	}
	want := b.Witness()
	if diff := cmp.Diff(got.Directories, want.Directories); diff != "" {
		t.Errorf("served witness (-got +want):\n%s", diff)
	}
	if len(got.Directories[0].Accepted) != 2 || len(got.Directories[1].Held) != 1 || got.Directories[2].Bodies != 1 {
		t.Errorf("witness counts wrongly: %+v", got.Directories)
	}
	if page := string(fetch(t, got.Directories[0].Accepted[1].Listing)); !strings.Contains(page, "Café Müller &amp; Söhne 1") {
		t.Errorf("the listing's page does not show the business:\n%s", page)
	}
	overview := string(fetch(t, b.URL()+"/"))
	for _, text := range []string{"3 directories", "1 businesses were taken in more than once", b.Catalog()[2].Name, "lists, then cuts the connection"} {
		if !strings.Contains(overview, text) {
			t.Errorf("the overview does not say %q:\n%s", text, overview)
		}
	}
	if diff := cmp.Diff(string(fetch(t, b.URL()+"/catalog.yaml")), string(catalogYAML(t, b))); diff != "" {
		t.Errorf("served catalog (-got +want):\n%s", diff)
	}

	res, err := http.Post(b.URL()+"/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Errorf("reset answered %d", res.StatusCode)
	}
	for _, d := range b.Witness().Directories {
		if len(d.Accepted)+len(d.Held)+len(d.Posts)+d.Bodies+d.Forms+d.Lookups != 0 {
			t.Errorf("%s remembers after a reset: %+v", d.Slug, d)
		}
	}
}

func fetch(t testing.TB, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %d: %s", address, res.StatusCode, body)
	}
	return body
}

func mustGet(t testing.TB, v *visitor) *page {
	p, err := v.get(v.d.Form.Start)
	if err != nil {
		t.Error(err)
	}
	return p
}
