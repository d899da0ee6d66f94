package directory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plain is a directory that software can submit to.
func plain(slug string, authority, tier int) Directory {
	return Directory{
		Slug: slug, Name: slug, URL: "https://" + slug + ".example/", Category: CategoryGeneral, Tier: tier, Authority: authority,
		Method: MethodForm, Form: &Form{Start: "https://" + slug + ".example/add", Steps: []Step{{}}}, Success: []Rule{{Text: "thank you"}},
	}
}

func with(d Directory, change func(*Directory)) Directory {
	change(&d)
	return d
}

func catalogOf(t testing.TB, directories ...Directory) *Catalog {
	t.Helper()
	c, err := NewCatalog(directories...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func slugs(choices []Choice) []string {
	var s []string
	for _, c := range choices {
		s = append(s, c.Directory)
	}
	return s
}

func trade(t testing.TB) *Catalog {
	no := false
	return catalogOf(t,
		plain("b-best", 90, 2),
		plain("a-best", 90, 2),
		plain("top-tier", 90, 1),
		with(plain("paid-best", 90, 1), func(d *Directory) { d.Paid = true }),
		with(plain("login-low", 10, 1), func(d *Directory) { d.RequiresLogin = true }),
		with(plain("german", 80, 1), func(d *Directory) { d.Country = []string{"DE", "AT"} }),
		with(plain("bakers", 70, 1), func(d *Directory) { d.Category = "bakery" }),
		with(plain("inactive", 99, 1), func(d *Directory) { d.Active = &no }),
		Directory{Slug: "witness", Name: "Witness", URL: "https://witness.example/", Category: CategoryGeneral, Tier: 1, Authority: 100, Method: MethodCanary},
		plain("low", 10, 4),
	)
}

func TestSelectGoesByAuthorityThenWorkThenTierThenSlug(t *testing.T) {
	p := Select(trade(t), SelectRequest{Quota: 100, Country: "DE", Category: "bakery", Identity: "id"})
	want := []string{"top-tier", "a-best", "b-best", "paid-best", "german", "bakers", "low", "login-low"}
	if diff := cmp.Diff(want, slugs(p.Choices)); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
	if p.Shortfall != 92 || p.Identity != "id" {
		t.Errorf("got shortfall %d and identity %q", p.Shortfall, p.Identity)
	}
	for i, c := range p.Choices {
		if c.Rank != i+1 {
			t.Errorf("%s has rank %d, want %d", c.Directory, c.Rank, i+1)
		}
	}
}

func TestSelectPassesOver(t *testing.T) {
	for name, c := range map[string]struct {
		request SelectRequest
		want    []string
	}{
		"other countries":            {SelectRequest{Quota: 5, Country: "US", Category: "bakery"}, []string{"top-tier", "a-best", "b-best", "paid-best", "bakers"}},
		"other categories":           {SelectRequest{Quota: 5, Country: "AT", Category: "plumber"}, []string{"top-tier", "a-best", "b-best", "paid-best", "german"}},
		"those that hold it":         {SelectRequest{Quota: 2, Country: "US", Held: []string{"top-tier", "unheard-of"}}, []string{"a-best", "b-best"}},
		"those excluded":             {SelectRequest{Quota: 2, Country: "US", Exclude: []string{"a-best"}}, []string{"top-tier", "b-best"}},
		"all but canaries for those": {SelectRequest{Quota: 3, Country: "US", Canary: true}, []string{"witness"}},
		"all without a quota":        {SelectRequest{Quota: -1, Country: "US"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := Select(trade(t), c.request)
			if diff := cmp.Diff(c.want, slugs(p.Choices)); diff != "" {
				t.Errorf("choices (-want +got):\n%s", diff)
			}
			if got := len(p.Choices) + p.Shortfall; got != max(c.request.Quota, 0) {
				t.Errorf("choices and shortfall are %d, want the quota %d", got, c.request.Quota)
			}
		})
	}
}

func TestNextReplacesUntilTheCatalogEnds(t *testing.T) {
	c := trade(t)
	r := SelectRequest{Quota: 2, Country: "US", Held: []string{"b-best"}, Exclude: make([]string, 0, 8)}
	taken := Select(c, r).Choices
	for _, want := range []Choice{{"paid-best", 3}, {"bakers", 4}, {"low", 5}, {"login-low", 6}} {
		got, ok := Next(c, r, taken)
		if !ok || got != want {
			t.Fatalf("got %v %v, want %v", got, ok, want)
		}
		taken = append(taken, got)
	}
	if got, ok := Next(c, r, taken); ok {
		t.Errorf("got %v from a catalog that has no more", got)
	}
}

func TestSelectAndNextNeverChooseTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(rt, "directories")
		var all []Directory
		for i := range n {
			all = append(all, plain(fmt.Sprintf("d%d", i), rapid.IntRange(0, 3).Draw(rt, "authority"), rapid.IntRange(1, 4).Draw(rt, "tier")))
		}
		c := catalogOf(t, all...)
		r := SelectRequest{Quota: rapid.IntRange(0, 40).Draw(rt, "quota")}
		for i := range n {
			if rapid.Bool().Draw(rt, "held") {
				r.Held = append(r.Held, fmt.Sprintf("d%d", i))
			}
		}
		p := Select(c, r)
		if len(p.Choices)+p.Shortfall != r.Quota {
			rt.Fatalf("%d chosen and %d short of %d", len(p.Choices), p.Shortfall, r.Quota)
		}
		taken := p.Choices
		for {
			next, ok := Next(c, r, taken)
			if !ok {
				break
			}
			taken = append(taken, next)
		}
		seen := map[string]bool{}
		for _, h := range r.Held {
			seen[h] = true
		}
		for i, choice := range taken {
			if seen[choice.Directory] || choice.Rank != i+1 {
				rt.Fatalf("choice %d is %v, after %v", i, choice, taken[:i])
			}
			seen[choice.Directory] = true
		}
		if len(seen) != n {
			rt.Fatalf("%d of %d directories were reached", len(seen), n)
		}
	})
}

func TestNeedNamesWhatAPersonDoes(t *testing.T) {
	for want, change := range map[string]func(*Directory){
		"":           func(*Directory) {},
		NeedPayment:  func(d *Directory) { d.Paid, d.RequiresLogin, d.HasCaptcha = true, true, true },
		NeedLogin:    func(d *Directory) { d.RequiresLogin, d.HasCaptcha, d.Method = true, true, MethodManual },
		NeedCaptcha:  func(d *Directory) { d.HasCaptcha = true },
		NeedManual:   func(d *Directory) { d.Method = MethodManual },
		"manual too": func(d *Directory) { d.Automation, d.Paid = AutomationForbidden, true },
	} {
		d := with(plain("a", 1, 1), change)
		if want == "manual too" {
			want = NeedManual
		}
		if got := d.Need(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
