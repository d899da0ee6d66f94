package directory

import (
	"cmp"
	"slices"
)

// SelectRequest says what an order needs of the catalog.
type SelectRequest struct {
	Quota    int      // directories bought
	Country  string   // of the business, ISO 3166-1 alpha-2
	Category string   // of the business; empty: directories of every category
	Identity string   // see [Business.Identity]; copied to the plan
	Held     []string // slugs of directories that hold the business already
	Exclude  []string // slugs not wanted for other reasons
	Canary   bool     // choose canary directories, and nothing else
}

// Select chooses the directories of an order from the first rank on. What the
// catalog cannot supply is the plan's Shortfall. It is pure: the same catalog and
// request give the same plan.
func Select(c *Catalog, r SelectRequest) Plan {
	quota := max(r.Quota, 0)
	chosen := candidates(c, r)
	chosen = chosen[:min(quota, len(chosen))]
	p := Plan{Shortfall: quota - len(chosen), Identity: r.Identity}
	for i, d := range chosen {
		p.Choices = append(p.Choices, Choice{Directory: d.Slug, Rank: i + 1})
	}
	return p
}

// Next chooses a replacement: the best directory that is not among taken, which
// are all choices the order ever had. Its rank follows the highest of them. False
// means that the catalog has no more; the order is short by one.
func Next(c *Catalog, r SelectRequest, taken []Choice) (Choice, bool) {
	rank := 0
	r.Exclude = slices.Clone(r.Exclude)
	for _, t := range taken {
		rank = max(rank, t.Rank)
		r.Exclude = append(r.Exclude, t.Directory)
	}
	rest := candidates(c, r)
	if len(rest) == 0 {
		return Choice{}, false
	}
	return Choice{Directory: rest[0].Slug, Rank: rank + 1}, true
}

// candidates lists the directories that may be chosen, best first.
func candidates(c *Catalog, r SelectRequest) []*Directory {
	unwanted := make(map[string]bool, len(r.Held)+len(r.Exclude))
	for _, slugs := range [][]string{r.Held, r.Exclude} {
		for _, s := range slugs {
			unwanted[s] = true
		}
	}
	var found []*Directory
	for _, d := range c.All() {
		if !unwanted[d.Slug] && d.takes(r) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, byMerit)
	return found
}

// takes reports whether the directory is one for such an order.
func (d *Directory) takes(r SelectRequest) bool {
	return d.IsActive() &&
		(d.Method == MethodCanary) == r.Canary &&
		d.Serves(r.Country) &&
		(d.Category == CategoryGeneral || r.Category == "" || d.Category == r.Category)
}

// Serves reports whether the directory takes businesses of the country; of one that is not
// known, "", only those do that take all.
func (d *Directory) Serves(country string) bool {
	return len(d.Country) == 0 || slices.Contains(d.Country, country)
}

// byMerit orders by authority; among equals those that software can do come
// before those that wait for a person, then the better tier, then the slug.
func byMerit(a, b *Directory) int {
	return cmp.Or(
		cmp.Compare(b.Authority, a.Authority),
		cmp.Compare(waits(a), waits(b)),
		cmp.Compare(a.Tier, b.Tier),
		cmp.Compare(a.Slug, b.Slug),
	)
}

func waits(d *Directory) int {
	if d.Need() == "" {
		return 0
	}
	return 1
}

// Need returns the kind of action for which every submission to the directory
// waits for a person, one of the Need constants, or "" when software may do it.
func (d *Directory) Need() string {
	switch {
	case d.Automation == AutomationForbidden:
		return NeedManual
	case d.Paid:
		return NeedPayment
	case d.RequiresLogin:
		return NeedLogin
	case d.HasCaptcha:
		return NeedCaptcha
	case d.Method == MethodManual:
		return NeedManual
	}
	return ""
}
