package sandbox

import (
	"net/url"
	"strings"
	"sync"
	"time"
)

// Witness is what all directories received, at one moment.
type Witness struct {
	StartedAt   time.Time `json:"started_at"`
	At          time.Time `json:"at"`
	Directories []Record  `json:"directories"`
}

// Record is what one directory received.
type Record struct {
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Behaviour string    `json:"behaviour"`
	URL       string    `json:"url"`
	Accepted  []Receipt `json:"accepted"` // each time the directory listed a business, or took it in for moderation
	Held      []Receipt `json:"held"`     // each time it took a business in that now waits for its owner: to pay, to confirm
	Posts     []Post    `json:"posts"`    // each post that began to arrive
	Bodies    int       `json:"bodies"`   // posts whose body arrived whole
	Forms     int       `json:"forms"`    // times the form page was asked for
	Lookups   int       `json:"lookups"`  // times the search page was asked
}

// Receipt is one business taken in once.
type Receipt struct {
	Business string    `json:"business"` // website's host and phone, as received; see [Key]
	Name     string    `json:"name"`     // decoded
	Listing  string    `json:"listing"`  // its page
	At       time.Time `json:"at"`
	LiveAt   time.Time `json:"live_at"` // when search and page show it, in the future while moderated
}

// Post is one request with a body.
type Post struct {
	At       time.Time `json:"at"`
	Path     string    `json:"path"`
	Complete bool      `json:"complete"`           // the whole body arrived
	Business string    `json:"business,omitempty"` // as far as it was read
	Name     string    `json:"name,omitempty"`
	Outcome  string    `json:"outcome"` // what the directory made of it: one of the constants, or why nothing
}

// Outcomes of a [Post] that are not refusals.
const (
	OutcomeIncomplete = "incomplete body"
	OutcomeOpen       = "open" // read, and not decided yet
	OutcomeAccepted   = "accepted"
	OutcomeHeld       = "held"
	OutcomeStep       = "step" // one of several, not the one that files
)

// Double is a business that a directory took in more than once.
type Double struct {
	Directory string
	Business  string
	Count     int
}

// Key names a business as the witness does.
func Key(website, phone string) string {
	return strings.TrimSpace(websiteHost(website) + " " + strings.TrimSpace(phone))
}

// Count returns how often the directory took the business in, listed or held.
func (w Witness) Count(slug, business string) int {
	n := 0
	for _, d := range w.Directories {
		if d.Slug == slug {
			n += d.counts()[business]
		}
	}
	return n
}

// Doubles lists every business that a directory took in more than once: what
// must never be.
func (w Witness) Doubles() []Double {
	var out []Double
	for _, d := range w.Directories {
		for business, n := range d.counts() {
			if n > 1 {
				out = append(out, Double{d.Slug, business, n})
			}
		}
	}
	return out
}

// Directory returns the record of one directory.
func (w Witness) Directory(slug string) (Record, bool) {
	for _, d := range w.Directories {
		if d.Slug == slug {
			return d, true
		}
	}
	return Record{}, false
}

func (r Record) counts() map[string]int {
	n := make(map[string]int)
	for _, c := range r.Accepted {
		n[c.Business]++
	}
	for _, c := range r.Held {
		n[c.Business]++
	}
	return n
}

// Witness reports what was received since the start or the last Reset.
func (b *Sandbox) Witness() Witness {
	w := Witness{StartedAt: b.started, At: time.Now(), Directories: make([]Record, len(b.sites))}
	for i, s := range b.sites {
		r := s.register.record()
		r.Slug, r.Name, r.Behaviour, r.URL = s.slug, s.name, s.behaviour.Name, s.url
		for _, receipts := range [][]Receipt{r.Accepted, r.Held} {
			for j := range receipts {
				receipts[j].Listing = s.url + receipts[j].Listing
			}
		}
		w.Directories[i] = r
	}
	return w
}

// Reset forgets everything received; the addresses stay.
func (b *Sandbox) Reset() {
	for _, s := range b.sites {
		s.register.reset()
	}
}

// register is what one directory knows: its listings and what arrived.
type register struct {
	mu       sync.Mutex
	listings []*listing
	posts    []*Post
	seen     map[string]int       // how often something happened, for behaviours that differ the first time
	pauses   map[string]time.Time // until when somebody is asked to wait
	forms    int
	lookups  int
}

// listing is a business in the directory.
type listing struct {
	receipt Receipt // its Listing is a path
	held    bool
	values  map[string]string // by profile key
}

// begin counts a post at the moment it arrives.
func (g *register) begin(path string) *Post {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &Post{At: time.Now(), Path: path, Outcome: OutcomeIncomplete}
	g.posts = append(g.posts, p)
	return p
}

// update changes a counted post.
func (g *register) update(p *Post, change func(*Post)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(p)
}

// add lists a business. With once set, a business that is there already is not
// added, and known is the earlier listing.
func (g *register) add(l *listing, once bool) (known *listing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if once {
		for _, k := range g.listings {
			if k.receipt.Business == l.receipt.Business {
				return k
			}
		}
	}
	l.receipt.Listing = "/listing/" + listingID(len(g.listings)+1, l.receipt.Name)
	g.listings = append(g.listings, l)
	return nil
}

// shown returns the visible listings that match.
func (g *register) shown(match func(*listing) bool) []*listing {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	var out []*listing
	for _, l := range g.listings {
		if !l.held && !l.receipt.LiveAt.After(now) && match(l) {
			out = append(out, l)
		}
	}
	return out
}

// times counts an occurrence and returns how many there have been, this one included.
func (g *register) times(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen = make(map[string]int)
	}
	g.seen[what]++
	return g.seen[what]
}

// pause begins a pause for what, the first time, and returns what is left of it.
func (g *register) pause(what string, d time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, begun := g.pauses[what]
	if !begun {
		if g.pauses == nil {
			g.pauses = make(map[string]time.Time)
		}
		until = time.Now().Add(d)
		g.pauses[what] = until
	}
	return time.Until(until)
}

func (g *register) sawForm()   { g.mu.Lock(); g.forms++; g.mu.Unlock() }
func (g *register) sawLookup() { g.mu.Lock(); g.lookups++; g.mu.Unlock() }

func (g *register) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listings, g.posts, g.seen, g.pauses, g.forms, g.lookups = nil, nil, nil, nil, 0, 0
}

func (g *register) record() Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := Record{Accepted: []Receipt{}, Held: []Receipt{}, Posts: make([]Post, len(g.posts)), Forms: g.forms, Lookups: g.lookups}
	for _, l := range g.listings {
		if l.held {
			r.Held = append(r.Held, l.receipt)
		} else {
			r.Accepted = append(r.Accepted, l.receipt)
		}
	}
	for i, p := range g.posts {
		r.Posts[i] = *p
		if p.Complete {
			r.Bodies++
		}
	}
	return r
}

// websiteHost is the host of a website as a customer wrote it, in lower case.
func websiteHost(website string) string {
	website = strings.TrimSpace(website)
	if !strings.Contains(website, "://") {
		website = "http://" + website
	}
	u, err := url.Parse(website)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
