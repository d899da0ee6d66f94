package directory

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// one changes the example profile and returns what Validate says about it.
func one(t *testing.T, o Options, change func(*Business)) []string {
	t.Helper()
	b := exampleProfile(t)
	change(b)
	b.Normalize()
	return faults(t, o.Validate(b))
}

func TestNormalizeWritesOneForm(t *testing.T) {
	in := Business{
		Name: "  Cafe\u0301\u00a0 Ren\tée ", Email: " Hello@MÜNCHEN.Example ", Phone: "020 7946 0123", Website: "HTTPS://WWW.Münch.Example:443/Über",
		Country: " gb ", PostalCode: "sw1a1aa", Category: " Bakery", Description: "\r\n one \r\ntwo\t \n\n", Hours: "Mo–Fr 09:00 - 17:00 ;Sa 10:00-13:00;",
		Keywords: []string{" a  b "}, Socials: map[string]string{"Twitter": " https://X.com/a ", "yelp": " "},
	}
	want := Business{
		Name: "Café Ren ée", Email: "Hello@xn--mnchen-3ya.example", Phone: "+442079460123", Website: "https://www.xn--mnch-0ra.example/%C3%9Cber",
		Country: "GB", PostalCode: "SW1A 1AA", Category: "bakery", Description: "one\ntwo", Hours: "Mo-Fr 09:00-17:00; Sa 10:00-13:00",
		Keywords: []string{"a b"}, Socials: map[string]string{"x": "https://x.com/a"},
	}
	in.Normalize()
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in.Normalize()
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("twice (-want +got):\n%s", diff)
	}
}

func TestNormalizeTwiceIsNormalizeOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t]?[a-zA-Z0-9@:/. \r\n;,–+()-]{0,30}`))
		country := rapid.SampledFrom([]string{"US", "gb", "CA", "de", "PL", "", " nl "})
		b := Business{
			Name: text.Draw(rt, "name"), Email: text.Draw(rt, "email"), Phone: text.Draw(rt, "phone"),
			Website:    rapid.SampledFrom([]string{"", "http://", "HTTPS://Ü.example:443"}).Draw(rt, "scheme") + text.Draw(rt, "website"),
			PostalCode: text.Draw(rt, "postal_code"), Country: country.Draw(rt, "country"),
			Description: text.Draw(rt, "description"), Hours: text.Draw(rt, "hours"), Keywords: []string{text.Draw(rt, "keyword")},
			Socials: map[string]string{text.Draw(rt, "network"): text.Draw(rt, "social")},
		}
		identity := b.Identity(uuid.Nil)
		b.Normalize()
		once := b
		once.Keywords, once.Socials = slices.Clone(b.Keywords), maps.Clone(b.Socials)
		b.Normalize()
		if diff := cmp.Diff(once, b); diff != "" {
			rt.Fatalf("(-once +twice):\n%s", diff)
		}
		if b.Identity(uuid.Nil) != identity {
			rt.Fatal("normalizing changed the identity")
		}
	})
}

func TestPostalCodesGetTheirGap(t *testing.T) {
	for _, c := range []struct{ country, in, want string }{
		{"CA", "k1a0b1", "K1A 0B1"}, {"GB", "ec1a 1bb", "EC1A 1BB"}, {"NL", "1012ab", "1012 AB"}, {"SE", "11122", "111 22"},
		{"PL", "00950", "00-950"}, {"BR", "01310 100", "01310-100"}, {"JP", "1000001", "100-0001"}, {"US", "97205-1234", "97205-1234"},
		{"GB", "nonsense", "NONSENSE"}, {"XX", "ab 1", "AB 1"}, {"CA", "a", "A"},
	} {
		b := Business{PostalCode: c.in, Country: c.country}
		if b.Normalize(); b.PostalCode != c.want {
			t.Errorf("%s %q: got %q, want %q", c.country, c.in, b.PostalCode, c.want)
		}
	}
}

func TestPostalExamplesAreValid(t *testing.T) {
	for country, f := range postalFormats {
		if fault := postalFault(f.example, country); fault != "" {
			t.Errorf("%s: %s", country, fault)
		}
		if _, ok := countries[country]; !ok {
			t.Errorf("%s is no country", country)
		}
	}
	for _, country := range slices.Concat(noPostalCode, withRegion) {
		if _, ok := countries[country]; !ok {
			t.Errorf("%s is no country", country)
		}
	}
}

func TestValidateAcceptsWhatPeopleHave(t *testing.T) {
	for name, change := range map[string]func(*Business){
		"the example":        func(*Business) {},
		"no phone":           func(b *Business) { b.Phone = "" },
		"no website":         func(b *Business) { b.Website = "" },
		"no postal code":     func(b *Business) { b.Country, b.PostalCode, b.Region, b.Phone = "HK", "", "", "" },
		"no region":          func(b *Business) { b.Country, b.PostalCode, b.Region, b.Phone = "DE", "10115", "", "030 901820" },
		"international name": func(b *Business) { b.Website, b.Email = "https://bücher.example", "post@bücher.example" },
		"a port and a path":  func(b *Business) { b.Website = "http://example.com:8080/shop?x=1" },
		"plus in e-mail":     func(b *Business) { b.Email = "owner+listings@mail.example.co.uk" },
		"long description":   func(b *Business) { b.Description = strings.Repeat("ü", 2000) },
		"joined emoji":       func(b *Business) { b.Tagline = "Family 👨‍👩‍👧 bakery" },
		"always open":        func(b *Business) { b.Hours = "Mo-Su 00:00-24:00" },
		"open at night":      func(b *Business) { b.Hours = "Fr,Sa 18:00-02:00; Su" },
		"a break at noon":    func(b *Business) { b.Hours = "Mo-Th,Sa 09:00-12:00,13:00-17:00" },
	} {
		t.Run(name, func(t *testing.T) {
			if got := one(t, Options{}, change); got != nil {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestValidateSaysWhatToDo(t *testing.T) {
	for want, change := range map[string]func(*Business){
		"website: is missing: write the website":                                func(b *Business) { b.Phone, b.Website = "", "" },
		`website: "example.com" is not a full address: write it with https://`:  func(b *Business) { b.Website = "example.com" },
		`website: "ftp://example.com" is not an absolute http or https URL`:     func(b *Business) { b.Website = "ftp://example.com" },
		`website: "https://example.com/?a b" contains a space`:                  func(b *Business) { b.Website = "https://example.com/?a b" },
		`website: "localhost" is not reachable from outside`:                    func(b *Business) { b.Website = "http://localhost:8080/" },
		`website: "printer.local" is not reachable`:                             func(b *Business) { b.Website = "http://printer.local/" },
		`website: "192.0.2.7" is an address, not a name`:                        func(b *Business) { b.Website = "http://192.0.2.7/" },
		`website: "::1" is an address`:                                          func(b *Business) { b.Website = "http://[::1]/" },
		`website: "intra" has no domain ending`:                                 func(b *Business) { b.Website = "http://intra/" },
		`website: "-a.example.com" is not a valid host name`:                    func(b *Business) { b.Website = "http://-a.example.com/" },
		`website: "https://me:xxxxx@example.com" contains a user name`:          func(b *Business) { b.Website = "https://me:hush@example.com" },
		`email: "hello" is not an e-mail address`:                               func(b *Business) { b.Email = "hello" },
		`email: "A B <a@example.com>" is not an e-mail`:                         func(b *Business) { b.Email = "A B <a@example.com>" },
		`email: "localhost" is not reachable`:                                   func(b *Business) { b.Email = "root@localhost" },
		`email: has 65 characters before the @`:                                 func(b *Business) { b.Email = strings.Repeat("a", 65) + "@example.com" },
		`phone: "555" is not a phone number: write it with its country code`:    func(b *Business) { b.Phone = "555" },
		`phone: "call us" is not a phone number`:                                func(b *Business) { b.Phone = "call us" },
		`country: "UK" is no country code: write GB`:                            func(b *Business) { b.Country = "UK" },
		`country: "USA" is no country code: write an ISO`:                       func(b *Business) { b.Country = "USA" },
		`country: "GERMANY" is no country code: write DE`:                       func(b *Business) { b.Country = "Germany" },
		`region: is missing: write the state or province, addresses in Canada`:  func(b *Business) { b.Country, b.PostalCode, b.Region = "CA", "K1A 0B1", "" },
		`postal_code: "9720" is no postal code of United States: write it like`: func(b *Business) { b.PostalCode = "9720" },
		`postal_code: is missing`:                                               func(b *Business) { b.PostalCode = "" },
		`category: "bakry" is no category of ours: did you mean bakery?`:        func(b *Business) { b.Category = "bakry" },
		`category: "general" is no category of ours`:                            func(b *Business) { b.Category = "general" },
		`short_description: has 161 characters, at most 160 fit: shorten it`:    func(b *Business) { b.ShortDescription = strings.Repeat("é", 161) },
		`name: contains the invisible character U+0007: remove it`:              func(b *Business) { b.Name = "Ding\a" },
		`tagline: contains the invisible character U+202E`:                      func(b *Business) { b.Tagline = "abc\u202edef" },
		`street: has more than one line`:                                        func(b *Business) { b.Street = "1 Alder\nStreet" },
		`city: is not UTF-8`:                                                    func(b *Business) { b.City = "M\xfcnchen" },
		`keywords: has 21 keywords`:                                             func(b *Business) { b.Keywords = strings.Split(strings.Repeat("a,", 20)+"a", ",") },
		`keywords[0]: is empty`:                                                 func(b *Business) { b.Keywords = []string{" "} },
		`hours: "Mon-Fri 9-5" does not begin with days`:                         func(b *Business) { b.Hours = "Mon-Fri 9-5" },
		`hours: "Mo 9:00-17:00" has no times like`:                              func(b *Business) { b.Hours = "Tu; Mo 9:00-17:00" },
		`hours: "Mo 09:00-09:00" has no times`:                                  func(b *Business) { b.Hours = "Mo 09:00-09:00" },
		`socials: "facebok" is no network we know: did you mean facebook?`:      func(b *Business) { b.Socials = map[string]string{"facebok": "https://facebook.com/a"} },
		`socials.yelp: "yelp.com/a" is not a full address`:                      func(b *Business) { b.Socials = map[string]string{"yelp": "yelp.com/a"} },
		`year_founded: 3014 is not a year of the past`:                          func(b *Business) { b.YearFounded = 3014 },
	} {
		t.Run(want, func(t *testing.T) {
			got := one(t, Options{}, change)
			if len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestValidateWantsANormalizedPhone(t *testing.T) {
	b := exampleProfile(t)
	b.Phone = "(503) 555-0142"
	if got := faults(t, b.Validate()); len(got) != 1 || !strings.Contains(got[0], "write +15035550142") {
		t.Errorf("got %q", got)
	}
}

func TestLocalHostsNeedTheOption(t *testing.T) {
	local := func(b *Business) { b.Website, b.Email = "http://127.0.0.1:8080/", "a@localhost" }
	if got := one(t, Options{}, local); len(got) != 2 {
		t.Errorf("without: got %q", got)
	}
	if got := one(t, Options{AllowLocal: true}, local); got != nil {
		t.Errorf("with: got %q", got)
	}
}

func TestIdentityDoesNotDependOnSpelling(t *testing.T) {
	customer := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	b := exampleProfile(t)
	want := b.Identity(customer)
	for name, change := range map[string]func(*Business){
		"scheme, case and path": func(b *Business) { b.Website = "HTTP://CedarAndRye.Example.com:8080/shop" },
		"www":                   func(b *Business) { b.Website = "https://cedarandrye.example.com." },
		"postal code":           func(b *Business) { b.PostalCode = " 97205" },
		"country":               func(b *Business) { b.Country = "us" },
		"everything else": func(b *Business) {
			b.Name, b.Phone, b.Street, b.Email = "Other", "+15035550199", "Elsewhere 1", "x@example.com"
		},
	} {
		c := *b
		change(&c)
		if got := c.Identity(customer); got != want {
			t.Errorf("%s changed the identity", name)
		}
	}
	for name, change := range map[string]func(*Business){
		"host":        func(b *Business) { b.Website = "https://shop.cedarandrye.example.com" },
		"postal code": func(b *Business) { b.PostalCode = "97206" },
		"country":     func(b *Business) { b.Country = "CA" },
		"no website":  func(b *Business) { b.Website = "" },
	} {
		c := *b
		change(&c)
		if c.Identity(customer) == want {
			t.Errorf("another %s has the same identity", name)
		}
	}
	if b.Identity(uuid.New()) == want {
		t.Error("another customer has the same identity")
	}
}

func TestIdentityWithoutWebsiteGoesByPhone(t *testing.T) {
	b := exampleProfile(t)
	b.Website = ""
	want := b.Identity(uuid.Nil)
	c := *b
	c.Phone = "(503) 555-0142"
	if c.Identity(uuid.Nil) != want {
		t.Error("the phone's spelling changed the identity")
	}
	c.Phone = "+15035550143"
	if c.Identity(uuid.Nil) == want {
		t.Error("another phone has the same identity")
	}
}

// The identity is stored in every submission; another value for the same
// business would let it be submitted again.
func TestIdentityStaysTheSameAcrossReleases(t *testing.T) {
	const want = "38b904e98fb38a69b56cd6133f0897cfb6f61f9d157f4ec91342c165edf87136"
	if got := exampleProfile(t).Identity(uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValueKnowsEveryKey(t *testing.T) {
	b := exampleProfile(t)
	want := map[string]string{
		"name": "Cedar & Rye Bakery", "contact_first_name": "Marisol", "contact_last_name": "Tanaka", "phone": "+15035550142",
		"phone_national": "(503) 555-0142", "website_host": "cedarandrye.example.com", "country_name": "United States",
		"category_name": "Bakery", "keywords": "sourdough, rye bread, pastry, wholesale bread", "year_founded": "2014",
		"address":         "1418 SW Alder Street, Portland, OR 97205, United States",
		"social.facebook": "https://www.facebook.com/cedarandrye.example", "social.x": "",
	}
	for key, text := range want {
		if got, ok := b.Value(key); !ok || got != text {
			t.Errorf("%s: got %q %v, want %q", key, got, ok, text)
		}
	}
	for _, key := range Keys() {
		got, ok := b.Value(key)
		if !ok || got == "" && !strings.HasPrefix(key, "social.") {
			t.Errorf("%s: got %q %v", key, got, ok)
		}
		if _, ok := new(Business).Value(key); !ok {
			t.Errorf("%s is unknown to an empty profile", key)
		}
		if p := Placeholders("{" + key + "}"); len(p) != 1 || p[0] != key {
			t.Errorf("{%s} is no placeholder: %q", key, p)
		}
	}
	for _, key := range []string{"", "logo", "social.", "social.myspace", "Name"} {
		if _, ok := b.Value(key); ok {
			t.Errorf("%q is known", key)
		}
	}
}

func TestNamesSplitAtTheLastWord(t *testing.T) {
	for name, want := range map[string][2]string{"": {}, "Cher": {"Cher", ""}, "Ana María López": {"Ana María", "López"}} {
		if first, last := splitName(name); first != want[0] || last != want[1] {
			t.Errorf("%q: got %q %q", name, first, last)
		}
	}
}

func TestExpandFillsAndEscapes(t *testing.T) {
	b := exampleProfile(t)
	got, ok := Expand("https://d.example/?q={name}&h={website_host}&x={}", b, url.QueryEscape)
	if want := "https://d.example/?q=Cedar+%26+Rye+Bakery&h=cedarandrye.example.com&x={}"; got != want || !ok {
		t.Errorf("got %q %v, want %q", got, ok, want)
	}
	if got, ok := Expand("plain", b, nil); got != "plain" || !ok {
		t.Errorf("got %q %v", got, ok)
	}
}

// A text that becomes empty stands on every page and would be false evidence.
func TestExpandIsIncompleteWithoutAValue(t *testing.T) {
	b := exampleProfile(t)
	b.Website = ""
	for _, template := range []string{"{website}", "found {website_host}", "{unknown}"} {
		if got, ok := Expand(template, b, nil); ok {
			t.Errorf("%s: got %q, true", template, got)
		}
	}
}

func TestTaxonomyIsSortedAndNamed(t *testing.T) {
	all := Categories()
	if len(all) < 60 || !slices.IsSortedFunc(all, func(a, b Category) int { return strings.Compare(a.Slug, b.Slug) }) {
		t.Errorf("%d categories, or not sorted by slug", len(all))
	}
	for _, c := range all {
		if name, ok := CategoryName(c.Slug); !ok || name == "" || !slugPattern.MatchString(c.Slug) || c.Slug == CategoryGeneral {
			t.Errorf("%q: got %q %v", c.Slug, name, ok)
		}
	}
}

func TestNearestSuggestsWhatWasMeant(t *testing.T) {
	for word, want := range map[string][]string{
		"bakry": {"bakery"}, "Plumbr": {"plumber"}, "dental-clinic": {"medical-clinic"}, "xyzzy": nil, strings.Repeat("a", 100): nil,
	} {
		if diff := cmp.Diff(want, nearest(word, categorySlugs())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
}
