package httpform

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
)

// Lookup implements [submit.Method].
func (m *Method) Lookup(ctx context.Context, d *directory.Directory, b *directory.Business) submit.Finding {
	if d.Lookup == nil {
		return submit.Finding{Presence: submit.Unknown, Reason: "the catalog entry has no lookup", HostOK: true}
	}
	target, complete := directory.Expand(d.Lookup.URL, b, url.QueryEscape)
	if !complete {
		return submit.Finding{Presence: submit.Unknown, Reason: "the profile lacks what the lookup asks for", HostOK: true}
	}
	session := m.session(d)
	allowed, err := session.Allowed(ctx, target)
	if err != nil {
		return unanswered(ctx, err)
	}
	if !allowed {
		return unknown(true, "robots.txt does not let us visit %s", target)
	}
	p, err := session.Get(ctx, target, "")
	if err != nil {
		return unanswered(ctx, err)
	}
	return read(d, reader{business: b, now: time.Now()}, newView(p))
}

// unanswered is a lookup without a page. Our own end is not held against the host.
func unanswered(ctx context.Context, err error) submit.Finding {
	f := unknown(ctx.Err() != nil, "%v", err)
	if r, ok := errors.AsType[*webclient.RobotsError](err); ok {
		f.RetryAfter = r.RetryAfter
	}
	return f
}

func unknown(hostOK bool, format string, args ...any) submit.Finding {
	return submit.Finding{Presence: submit.Unknown, Reason: shorten(squeeze(fmt.Sprintf(format, args...)), maxReason), HostOK: hostOK}
}

// read decides by the lookup's rules. Rules that contradict each other say nothing,
// and a page that did not come whole cannot show that something is not on it.
func read(d *directory.Directory, r reader, page *view) submit.Finding {
	status := page.page.Status
	pause, asked := webclient.RetryAfter(page.page.Header, r.now)
	if status == 429 || status >= 500 {
		f := unknown(false, "the lookup was answered with %d", status)
		if asked {
			f.RetryAfter = pause
		}
		f.Page = page.kept()
		return f
	}
	_, found := r.first(d.Lookup.Found, page, nil)
	_, absent := r.first(d.Lookup.Absent, page, nil)
	f := submit.Finding{HostOK: true, Page: page.kept()}
	switch {
	case found != nil && absent != nil:
		f.Presence, f.Reason = submit.Unknown, "the lookup's page matches both a found and an absent rule"
	case found != nil:
		found.Probe = true
		f.Presence, f.Evidence, f.ListingURL = submit.Found, found, listingURL(d.Lookup.Listing, page)
	case absent != nil && (page.page.Broken != nil || page.page.Truncated):
		f.Presence, f.Reason = submit.Unknown, "the lookup's page did not come whole"
	case absent != nil:
		absent.Probe = true
		f.Presence, f.Evidence = submit.Absent, absent
	default:
		f.Presence, f.Reason = submit.Unknown, fmt.Sprintf("the lookup's page (%d) matched no rule", status)
	}
	return f
}
