package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/directorybolt/directorybolt/internal/nodetest"
)

// browser is a headless Chromium with one tab, and what it complained about.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	faults  []string // errors of the console, exceptions, violations of the policy
	refused []string // requests that were answered with an error, which some tests want
}

// patience is how long a page may take for one thing. The machine is busy with others.
const browserPatience = 60 * time.Second

// chromium is the browser itself: Debian's launcher is a script, which leaves it behind
// when it is killed.
func chromium(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/headless_shell", "/usr/lib/chromium/chromium"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("no browser; on Debian: apt-get install -y chromium-headless-shell")
	return ""
}

// newBrowser opens a tab. It ends with the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(browserPatience),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-quic", true), chromedp.Flag("force-color-profile", "srgb"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...) // a test that fails still looks
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Run(ctx); err != nil { // the browser lives as long as this context
		t.Fatalf("start the browser: %v", err)
	}
	chromedp.ListenTarget(ctx, b.hear)
	b.run(emulation.SetTimezoneOverride("UTC"), emulation.SetLocaleOverride().WithLocale("en-US"))
	b.size(1280, 900)
	t.Cleanup(func() {
		if t.Failed() {
			b.shot("failed")
			t.Logf("the page shows:\n%s", b.text("body"))
		}
	})
	return b
}

// hear keeps what the browser complains about.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			args, _ := json.Marshal(e.Args)
			b.faults = append(b.faults, fmt.Sprintf("console.%s: %s", e.Type, args))
		}
	case *log.EventEntryAdded:
		what := fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		switch {
		case e.Entry.Source == log.SourceNetwork && strings.Contains(e.Entry.Text, "the server responded with a status of"):
			b.refused = append(b.refused, what)
		case e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning || e.Entry.Source == log.SourceSecurity:
			b.faults = append(b.faults, what)
		}
	}
}

// quiet reports what the browser complained about since it was asked last. Requests may
// have been refused only with the statuses named.
func (b *browser) quiet(statuses ...int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Errorf("the browser complains: %s", f)
	}
refusals:
	for _, r := range b.refused {
		for _, s := range statuses {
			if strings.Contains(r, "status of "+strconv.Itoa(s)) {
				continue refusals
			}
		}
		b.t.Errorf("the browser complains: %s", r)
	}
	b.faults, b.refused = nil, nil
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// size is the size of the window, in CSS pixels.
func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 600))
}

// scheme is dark or light.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url))
}

// eval runs a script, waits for its promise, and returns what it came to.
func eval[T any](b *browser, script string) (v T) {
	b.t.Helper()
	b.run(chromedp.Evaluate(script, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return v
}

// quote writes a text as a script has it.
func quote(text string) string {
	q, _ := json.Marshal(text)
	return string(q)
}

// text is what stands in the first element of a selector; empty when there is none.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return eval[string](b, "document.querySelector("+quote(selector)+")?.innerText ?? ''")
}

// await waits until something holds.
func (b *browser) await(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(browserPatience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// sees waits until the first element of a selector has all the texts.
func (b *browser) sees(selector string, texts ...string) {
	b.t.Helper()
	b.await(fmt.Sprintf("%q in %s", texts, selector), func() bool {
		got := b.text(selector)
		for _, want := range texts {
			if !strings.Contains(got, want) {
				return false
			}
		}
		return got != "" || len(texts) == 0
	})
}

// click waits for an element and clicks it.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// follow clicks the link of the navigation with that name.
func (b *browser) follow(name string) {
	b.t.Helper()
	b.await("the link "+name, func() bool {
		return eval[bool](b, `(() => { const a = [...document.querySelectorAll('#nav a')].find((a) => a.textContent === `+quote(name)+`); a?.click(); return !!a })()`)
	})
	b.sees("h1", name)
}

// types fills a field in and sends its form with the return key.
func (b *browser) types(selector, text string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(selector, chromedp.ByQuery))
	eval[string](b, "document.querySelector("+quote(selector)+").value = ''")
	b.run(chromedp.SendKeys(selector, text+"\r", chromedp.ByQuery))
}

// signIn signs in with a key.
func (b *browser) signIn(url, key string) {
	b.t.Helper()
	b.open(url)
	b.sees("h1", "Sign in")
	b.types("#key", key)
	b.sees("#sign-out", "Sign out")
}

// shot keeps a picture of the whole page in the directory PICTURES, if there is one.
func (b *browser) shot(name string) {
	dir := os.Getenv("PICTURES")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	var picture []byte
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		picture, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
		return err
	}))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(b.t.Name(), "/", "-")+"-"+name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Logf("no picture: %v", err)
	}
}

// axe is the script of the accessibility checks.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := nodetest.Install("axe", os.DirFS("axe"))
	if err != nil {
		return "", err
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules/axe-core/axe.min.js"))
	return string(script), err
})

// accessible reports what keeps people from using the page as it stands: contrast,
// names, roles, order, in both schemes and at both widths; and what does not fit the
// width.
func (b *browser) accessible(name string) {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	if !eval[bool](b, "'axe' in window") {
		b.run(chromedp.Evaluate(script, nil))
	}
	for _, width := range []int64{1280, 390} {
		b.size(width, 900)
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(scheme)
			at := fmt.Sprintf("%s, %s, %d wide", name, scheme, width)
			found := eval[[]struct {
				ID, Help string
				Nodes    []struct {
					Target         []string
					FailureSummary string
				}
			}](b, `axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 3).map(({ target, failureSummary }) => ({ target: target.map(String), failureSummary })) })))`)
			for _, v := range found {
				b.t.Errorf("%s: %s (%s): %+v", at, v.Help, v.ID, v.Nodes)
			}
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
				b.t.Errorf("%s: the page is %d wide", at, wide)
			}
			b.shot(strings.ReplaceAll(at, ", ", "-"))
		}
	}
	b.size(1280, 900)
	b.scheme("light")
}
