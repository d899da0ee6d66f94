package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// conduct is how a directory behaves. Its type embeds [plain] and changes what
// is different.
type conduct interface {
	// sheet is the form; it is asked once.
	sheet() sheet
	// describe completes the catalog entry, which comes filled in as for a plain form.
	describe(d *directory.Directory)
	// form answers GET /add.
	form(w http.ResponseWriter, r *http.Request)
	// file answers POST /add.
	file(w http.ResponseWriter, r *http.Request)
}

// router is a conduct with pages of its own.
type router interface{ routes(mux *http.ServeMux) }

// site is one directory of the sandbox.
type site struct {
	number    int // from 0, by authority
	slug      string
	name      string
	url       string
	authority int
	tier      int
	behaviour *Behaviour
	conduct   conduct
	page      sheet    // the conduct's form
	disallow  string   // what robots.txt asks robots to leave alone
	charset   *charset // of its pages; nil is UTF-8
	register  register
	secret    []byte

	box     *Sandbox
	origin  *origin // nil when nothing listens
	release func()  // gives the port of a closed directory back
}

func newSite(b *Sandbox, number int, name string, behaviour *Behaviour) *site {
	s := &site{
		number:    number,
		slug:      fmt.Sprintf("%s-%02d", strings.ReplaceAll(behaviour.Name, "_", "-"), number+1),
		name:      name,
		behaviour: behaviour,
		disallow:  "/admin",
		secret:    newSecret(),
		box:       b,
	}
	s.authority = 95 - number*90/max(b.cfg.Count-1, 1)
	s.tier = 1 + number*4/b.cfg.Count
	s.conduct = behaviour.make(s)
	s.page = s.conduct.sheet()
	return s
}

// open takes the directory's port.
func (s *site) open(ctx context.Context, port int) error {
	if !s.behaviour.Closed {
		o, err := listen(ctx, s.box.cfg.Addr, port, s.box.cfg.Log)
		if err != nil {
			return err
		}
		s.origin, s.url = o, o.url
		return nil
	}
	if port != 0 {
		s.url = "http://" + net.JoinHostPort(s.box.cfg.Addr, strconv.Itoa(port))
		return nil
	}
	hostport, release, err := closedPort(ctx, s.box.cfg.Addr)
	if err != nil {
		return fmt.Errorf("find a closed port: %w", err)
	}
	s.url, s.release = "http://"+hostport, release
	return nil
}

func (s *site) serve() {
	if s.origin != nil {
		s.origin.serve(s.routes())
	}
}

func (s *site) close() {
	if s.origin != nil {
		s.origin.close()
	}
	if s.release != nil {
		s.release()
	}
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /add", func(w http.ResponseWriter, r *http.Request) {
		s.register.sawForm()
		s.conduct.form(w, r)
	})
	mux.HandleFunc("POST /add", s.conduct.file)
	mux.HandleFunc("GET /listing/{id}", s.showListing)
	mux.HandleFunc("GET /search", s.search)
	mux.HandleFunc("POST /newsletter", s.newsletter)
	mux.HandleFunc("GET /robots.txt", s.robots)
	if c, ok := s.conduct.(router); ok {
		c.routes(mux)
	}
	return mux
}

// entry is the directory in the catalog.
func (s *site) entry() directory.Directory {
	d := directory.Directory{
		Slug:       s.slug,
		Name:       s.name,
		URL:        s.url + "/",
		Category:   "general",
		Tier:       s.tier,
		Authority:  s.authority,
		Method:     directory.MethodForm,
		Automation: directory.AutomationAllowed,
		Form: &directory.Form{
			Start: s.url + "/add",
			Steps: []directory.Step{{Form: "form#" + s.page.ID, Fields: s.page.fields()}},
		},
		Success: []directory.Rule{{Selector: "#receipt", Text: "{name} has been listed"}},
		Listing: &directory.Extract{Selector: "#receipt a.listing"},
		Lookup:  s.lookup(s.scaled(500 * time.Millisecond)),
		Pacing:  directory.Pacing{Timeout: directory.Duration(max(3*time.Second, s.scaled(3*time.Second)))},
		Checked: "2026-11-23",
	}
	s.conduct.describe(&d)
	return d
}

// lookup is the rule of the search page. Absence there is proof, since listings
// are shown at once; a behaviour for which that is not true says so.
func (s *site) lookup(settle time.Duration) *directory.Lookup {
	return &directory.Lookup{
		URL:            s.url + "/search?website={website_host}&phone={phone}",
		Found:          []directory.Rule{{Selector: "ul.results a.listing"}},
		Absent:         []directory.Rule{{Selector: "p.no-results", Text: "no business found"}},
		Listing:        &directory.Extract{Selector: "ul.results a.listing"},
		AbsenceIsProof: true,
		Settle:         directory.Duration(max(settle, 100*time.Millisecond)),
	}
}

// scaled is a delay at the sandbox's pace.
func (s *site) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.box.cfg.Scale)
}

// retryAfter is a delay in the whole seconds of a Retry-After header, at least one.
func (s *site) retryAfter(d time.Duration) time.Duration {
	seconds := (s.scaled(d) + time.Second - 1) / time.Second
	return max(seconds, 1) * time.Second
}

// wait lets d pass, whatever the client does meanwhile. When the sandbox ends it
// aborts the handler: the client sees a cut, and not an empty answer.
func (s *site) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.box.done:
		panic(http.ErrAbortHandler)
	}
}

// filing is a post that was read and is well-formed.
type filing struct {
	values map[string]string // by profile key
	key    string            // of the business
	post   *Post
}

// receive counts a post, reads it and answers what is wrong with it; nil means
// that the answer was given.
func (s *site) receive(w http.ResponseWriter, r *http.Request, form sheet) *filing {
	a, post := s.read(w, r)
	if a == nil {
		return nil
	}
	return s.check(w, form, a, post)
}

// read counts a post and reads it; a nil answer means that it was unreadable and
// the client has been told.
func (s *site) read(w http.ResponseWriter, r *http.Request) (*answer, *Post) {
	post := s.begin(r)
	a, whole, err := readAnswer(w, r, s.charset)
	if whole {
		s.register.update(post, func(p *Post) { p.Complete, p.Outcome = true, OutcomeOpen })
	}
	if err != nil {
		s.refuse(w, post, http.StatusBadRequest, "We could not read your form: "+err.Error()+".")
		return nil, post
	}
	return a, post
}

// begin counts a post at the moment it arrives, and tells whoever wants to know.
func (s *site) begin(r *http.Request) *Post {
	post := s.register.begin(r.URL.Path)
	s.box.cfg.OnPost(r)
	return post
}

// check holds an answer against the form.
func (s *site) check(w http.ResponseWriter, form sheet, a *answer, post *Post) *filing {
	f := &filing{values: form.values(a), post: post}
	f.key = Key(f.values["website"], f.values["phone"])
	s.register.update(post, func(p *Post) { p.Business, p.Name = f.key, f.values["name"] })
	if form.trapped(a) {
		s.refuse(w, post, http.StatusForbidden, "This looks like spam. If you are a person, leave the hidden fields empty.")
		return nil
	}
	if faults := form.faults(a); len(faults) > 0 {
		s.invalid(w, post, faults)
		return nil
	}
	return f
}

// outcome notes what the directory made of a post.
func (s *site) outcome(p *Post, text string) {
	s.register.update(p, func(p *Post) { p.Outcome = text })
}

// refuse ends a post that leaves nothing behind.
func (s *site) refuse(w http.ResponseWriter, p *Post, status int, text string) {
	s.outcome(p, fmt.Sprintf("refused: %d %s", status, text))
	s.notice(w, status, "Not accepted", text)
}

// invalid ends a post with what is wrong, field by field.
func (s *site) invalid(w http.ResponseWriter, p *Post, faults []fault) {
	var texts []string
	for _, f := range faults {
		texts = append(texts, f.Text)
	}
	s.outcome(p, "refused: 422 "+strings.Join(texts, "; "))
	s.render(w, http.StatusUnprocessableEntity, "faults", "Please correct your entry", faults)
}

// accept lists the business now.
func (s *site) accept(f *filing) *listing { return s.acceptShown(f, 0) }

// acceptShown lists the business now and shows it after a delay.
func (s *site) acceptShown(f *filing, after time.Duration) *listing {
	l := s.newListing(f, after)
	s.register.add(l, false)
	s.outcome(f.post, OutcomeAccepted)
	return l
}

// acceptOnce lists the business unless it is there; then known is its listing.
func (s *site) acceptOnce(f *filing) (l, known *listing) {
	l = s.newListing(f, 0)
	if known = s.register.add(l, true); known != nil {
		return nil, known
	}
	s.outcome(f.post, OutcomeAccepted)
	return l, nil
}

// hold takes the business in until its owner has done something.
func (s *site) hold(f *filing) {
	l := s.newListing(f, 0)
	l.held = true
	s.register.add(l, false)
	s.outcome(f.post, OutcomeHeld)
}

func (s *site) newListing(f *filing, after time.Duration) *listing {
	now := time.Now()
	return &listing{
		values:  f.values,
		receipt: Receipt{Business: f.key, Name: f.values["name"], At: now, LiveAt: now.Add(after)},
	}
}

// listingID is the last part of a listing's address.
func listingID(number int, name string) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			return unicode.ToLower(r)
		case unicode.IsSpace(r):
			return '-'
		}
		return -1
	}, name)
	return strconv.Itoa(number) + "-" + slug
}
