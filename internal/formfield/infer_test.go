package formfield

import (
	"fmt"
	"testing"
)

func text(label, name string) Control {
	return Control{Tag: "input", Type: "text", Label: label, Name: name}
}

func typed(kind, label, name string) Control {
	return Control{Tag: "input", Type: kind, Label: label, Name: name}
}

func area(label, name string) Control { return Control{Tag: "textarea", Label: label, Name: name} }

func choice(label, name string) Control { return Control{Tag: "select", Label: label, Name: name} }

// TestInferReadsOneControl holds shapes as they stand in directories. An empty key
// means that nothing may be filled in.
func TestInferReadsOneControl(t *testing.T) {
	for _, c := range []struct {
		control Control
		want    string
	}{
		// names of the business
		{text("Business Name *", "title"), "name"},
		{text("Company / Organization Name", "f1"), "name"},
		{text("Name of your business", "field_3"), "name"},
		{text("Company", "company"), "name"},
		{text("", "listing_title"), "name"},
		{text("", "businessName"), "name"},
		{text("Business name (as shown on your storefront)", "x"), "name"},
		{text("Firmenname", "firma"), "name"},
		{text("Nom de l'entreprise", "nom"), "name"},
		{text("Nombre de la empresa", "f"), "name"},
		{Control{Tag: "input", Type: "text", Name: "a1", Autocomplete: "organization"}, "name"},
		{Control{Tag: "input", Type: "text", Label: "Company name", Autocomplete: "name"}, "name"},
		{Control{Tag: "input", Type: "text", Placeholder: "Company name"}, "name"},
		{Control{Tag: "input", Type: "text", Aria: "Business name"}, "name"},
		{Control{Tag: "input", Type: "text", Near: "Business name:", Name: "f7"}, "name"},
		{text("Legal business name", "ln"), "legal_name"},
		{text("Company size", "company_size"), ""},
		{text("Number of employees", "employees"), ""},
		{text("Company registration number", "reg"), ""},

		// people
		{text("Your name", "your-name"), "contact_name"},
		{text("Contact person", "cp"), "contact_name"},
		{Control{Tag: "input", Type: "text", Name: "x", Autocomplete: "section-a name"}, "contact_name"},
		{text("First name", "fname"), "contact_first_name"},
		{text("Nachname", "n"), "contact_last_name"},
		{text("Job title", "job_title"), ""},
		{text("Username", "username"), ""},

		// reaching it
		{typed("email", "", "c"), "email"},
		{typed("email", "Company e-mail address", "mail"), "email"},
		{text("E-mail", "e"), "email"},
		{text("Business Email", "b"), "email"},
		{Control{Tag: "input", Type: "text", Name: "user_email", Placeholder: "you@example.com"}, "email"},
		{typed("tel", "", "x"), "phone"},
		{text("Phone Number (optional)", "p"), "phone"},
		{text("Telefonnummer", "t"), "phone"},
		{Control{Tag: "input", Type: "tel", Autocomplete: "tel-national"}, "phone_national"},
		{text("Fax", "fax"), ""},
		{typed("tel", "Fax number", "fax"), ""},
		{Control{Tag: "input", Type: "tel", Autocomplete: "fax tel"}, ""},
		{typed("tel", "Mobile", "mobile"), ""},
		{typed("url", "", "u"), "website"},
		{text("Website URL", "u"), "website"},
		{text("Your website address", "u"), "website"},
		{text("URL", "url"), "website"},
		{text("", "job_website"), "website"},
		{Control{Tag: "input", Type: "text", Label: "Link", Placeholder: "https://www.example.com", Name: "site"}, "website"},
		{typed("url", "Facebook", "fb"), "social.facebook"},
		{typed("url", "LinkedIn profile", "l"), "social.linkedin"},
		{text("X (Twitter)", "tw"), "social.x"},
		{text("", "social_instagram"), "social.instagram"},
		{typed("url", "Video URL", "video"), ""},
		{typed("url", "Reciprocal link URL", "recip"), ""},
		{text("Domain", "d"), "website_host"},

		// where it is
		{text("Street address", "s"), "street"},
		{text("Address Line 1", "a1"), "street"},
		{text("Address Line 2", "a2"), ""},
		{text("", "address2"), ""},
		{text("Straße und Hausnummer", "s"), "street"},
		{area("Address", "address"), "address"},
		{text("City / Town", "c"), "city"},
		{text("Ort", "o"), "city"},
		{text("State / Province / Region", "s"), "region"},
		{choice("State", "state"), "region"},
		{text("ZIP / Postal Code", "z"), "postal_code"},
		{text("PLZ", "plz"), "postal_code"},
		{typed("number", "Zip code", "z"), "postal_code"},
		{choice("Country", "country"), "country"},
		{choice("", "country_id"), "country"},
		{text("City, State", "cs"), ""},
		{text("Location", "loc"), ""},
		{text("Latitude", "lat"), ""},

		// what it does
		{choice("Business Category", "cat"), "category"},
		{choice("Industry", "i"), "category"},
		{choice("Sub-category", "sub"), ""},
		{area("Description", "d"), "description"},
		{area("Tell us about your business", "d"), "description"},
		{area("About", "about"), "description"},
		{area("Beschreibung", "b"), "description"},
		{area("Short Description (max 160 characters)", "sd"), "short_description"},
		{Control{Tag: "textarea", Label: "Description", MaxLength: 150}, "short_description"},
		{text("Tagline / Slogan", "t"), "tagline"},
		{text("Keywords (comma separated)", "k"), "keywords"},
		{text("Tags", "tags"), "keywords"},
		{area("Opening hours", "h"), "hours"},
		{text("Year established", "y"), "year_founded"},
		{typed("number", "Founded", "founded"), "year_founded"},
		{typed("file", "Logo", "logo"), "logo"},
		{typed("file", "Gallery images", "images"), ""},
		{typed("file", "", "file"), ""},
		{area("Comments", "comments"), ""},
		{area("Message", "msg"), ""},

		// the tag says nothing
		{text("", ""), ""},
		{text("", "f1"), ""},
		{area("", "text1"), ""},
		{choice("", "s1"), ""},

		// disagreement is no certainty
		{Control{Tag: "input", Type: "email", Label: "Website"}, "email"}, // an e-mail control takes nothing else
		{Control{Tag: "input", Type: "text", Label: "City", Name: "email"}, ""},
		{Control{Tag: "input", Type: "text", Label: "Phone", Autocomplete: "postal-code"}, ""},

		// not ours to fill
		{Control{Tag: "input", Type: "text", Name: "website", Label: "Leave this field blank"}, ""},
		{Control{Tag: "input", Type: "text", Name: "email", Label: "E-mail", Hidden: true}, ""},
		{Control{Tag: "input", Type: "text", Name: "url", TabIndex: -1, Autocomplete: "off"}, ""},
		{Control{Tag: "input", Type: "text", Name: "company", Disabled: true}, ""},
		{Control{Tag: "input", Type: "text", Name: "company", ReadOnly: true}, ""},
		{text("Name on card", "cc-name"), ""},
	} {
		f := Infer(Form{Controls: []Control{c.control}})[0]
		got, _ := f.Best()
		if got.Key != c.want {
			t.Errorf("%+v:\n got %q %+v\nwant %q", c.control, got.Key, f, c.want)
		}
		if got.Key != "" && got.Evidence == "" {
			t.Errorf("%+v: a guess without evidence", c.control)
		}
	}
}

func TestInferRejects(t *testing.T) {
	tick := func(label, name string) Control { return typed("checkbox", label, name) }
	for _, c := range []struct {
		control Control
		want    Reject
	}{
		{text("", "honeypot"), Trap},
		{text("", "hp_email"), Trap},
		{text("", "my_antispam_field"), Trap},
		{text("If you are a human, leave this field empty", "website2"), Trap},
		{text("Please don't fill this in", "phone"), Trap},
		{Control{Tag: "input", Type: "text", Name: "nickname", TabIndex: -1, Autocomplete: "off"}, Trap},
		{Control{Tag: "input", Type: "hidden", Name: "token", Hidden: true}, Invisible},
		{typed("password", "Choose a password", "pw"), Password},
		{text("Enter the characters shown above", "code"), Captcha},
		{text("What is 3 + 4?", "q1"), Captcha},
		{text("", "captcha_code"), Captcha},
		{Control{Tag: "textarea", Name: "g-recaptcha-response"}, Captcha},
		{typed("search", "", "x"), Search},
		{text("", "q"), Search},
		{tick("Subscribe to our newsletter", "nl"), Newsletter},
		{tick("I agree to the Terms and Conditions", "tos"), Terms},
		{tick("I have read the privacy policy and accept to get your newsletter", "gdpr"), Terms},
		{tick("Ich akzeptiere die AGB", "agb"), Terms},
		{text("Coupon code", "c"), Coupon},
		{text("", "promo_code"), Coupon},
		{text("Link back to us", "lb"), Reciprocal},
		{text("Card number", "n"), Payment},
		{Control{Tag: "input", Type: "text", Name: "n", Autocomplete: "cc-number"}, Payment},
		{Control{Tag: "input", Type: "radio", Label: "Free", Group: "Choose your plan", Name: "p"}, Plan},
		{choice("Select package", "package"), Plan},
		{text("Business name", "n"), ""},
		{tick("Wheelchair accessible", "wc"), ""},
		{text("Terms of delivery", "terms"), ""},
	} {
		f := Infer(Form{Controls: []Control{c.control}})[0]
		if f.Reject != c.want {
			t.Errorf("%+v: reject %q, want %q", c.control, f.Reject, c.want)
		}
	}
}

func TestInferReadsWholeForms(t *testing.T) {
	for name, c := range map[string]struct {
		form Form
		want []string
	}{
		"a bare name is the business's in a form about one": {
			Form{Text: "Add your listing", Controls: []Control{text("Name", "name"), text("Website", "w")}},
			[]string{"name", "website"},
		},
		"a bare name beside the business's is a person's": {
			Form{Controls: []Control{text("Business name", "b"), text("Name", "name"), typed("email", "E-mail", "e")}},
			[]string{"name", "contact_name", "email"},
		},
		"a bare name in a form about nothing is left alone": {
			Form{Controls: []Control{text("Name", "name"), typed("email", "E-mail", "e"), area("Message", "m")}},
			[]string{"", "email", ""},
		},
		"a title is the listing's": {
			Form{ID: "submit-listing", Controls: []Control{text("Title", "title"), typed("url", "URL", "url"), area("Description", "desc")}},
			[]string{"name", "website", "description"},
		},
		"an address beside a city is the street": {
			Form{Controls: []Control{text("Address", "a"), text("City", "c"), text("Zip", "z")}},
			[]string{"street", "city", "postal_code"},
		},
		"an address beside a street is neither": {
			Form{Controls: []Control{text("Street", "s"), text("Address line 2", "a2"), text("City", "c")}},
			[]string{"street", "", "city"},
		},
		"the first of equals wins": {
			Form{Controls: []Control{text("Website", "w1"), text("Website", "w2")}},
			[]string{"website", ""},
		},
		"what is to be confirmed is repeated": {
			Form{Controls: []Control{typed("email", "E-mail", "e"), typed("email", "Confirm e-mail", "e2")}},
			[]string{"email", "email"},
		},
		"two descriptions": {
			Form{Controls: []Control{area("Short description", "s"), area("Full description", "d")}},
			[]string{"short_description", "description"},
		},
		"a trap that looks like the real one": {
			Form{Controls: []Control{
				typed("url", "Website", "w"),
				{Tag: "input", Type: "text", Name: "url", Label: "Website", TabIndex: -1, Autocomplete: "off"},
			}},
			[]string{"website", ""},
		},
		"all inputs are not the first one": { // a matcher by tag once gave the first control everything
			Form{Controls: []Control{text("Business name", "f1"), text("Phone", "f2"), text("City", "f3"), text("Favourite colour", "f4")}},
			[]string{"name", "phone", "city", ""},
		},
	} {
		for i, f := range Infer(c.form) {
			got, _ := f.Best()
			if got.Key != c.want[i] {
				t.Errorf("%s: control %d: got %q %+v, want %q", name, i, got.Key, f, c.want[i])
			}
		}
	}
}

func TestPurposeOf(t *testing.T) {
	email, password := typed("email", "E-mail", "email"), typed("password", "Password", "password")
	for name, c := range map[string]struct {
		form Form
		want Purpose
	}{
		"search by role":       {Form{Role: "search", Method: "get", Controls: []Control{text("", "term")}}, ForSearch},
		"search by name":       {Form{Method: "get", Controls: []Control{text("", "q")}}, ForSearch},
		"search with a place":  {Form{Method: "get", Class: "search-form", Controls: []Control{text("What", "what"), text("Where", "where")}}, ForSearch},
		"login":                {Form{ID: "login", Controls: []Control{email, password}}, ForLogin},
		"registration":         {Form{Text: "Create an account", Controls: []Control{text("Name", "name"), email, password, password}}, ForLogin},
		"newsletter":           {Form{Class: "newsletter", Controls: []Control{email}}, ForNewsletter},
		"newsletter with name": {Form{Action: "https://x.list-manage.com/subscribe/post", Controls: []Control{text("Name", "n"), email}}, ForNewsletter},
		"an e-mail alone":      {Form{Controls: []Control{email}}, ForNewsletter},
		"card":                 {Form{Controls: []Control{text("Card number", "card")}}, ForPayment},
		"logout":               {Form{Controls: []Control{{Tag: "input", Type: "hidden", Hidden: true, Name: "csrf"}}}, ForNothing},
		"language":             {Form{Controls: []Control{choice("Language", "lang")}}, ForNothing},
		"listing":              {Form{Controls: []Control{text("Business name", "n"), typed("url", "Website", "w"), email}}, ForListing},
		"listing with account": {Form{Text: "Register your business", Controls: []Control{text("Business name", "n"), typed("url", "Website", "w"), area("About", "a"), email, password}}, ForListing},
		"listing by URL alone": {Form{Method: "post", Action: "/submit", Controls: []Control{typed("url", "Website", "url")}}, ForListing},
		"first step":           {Form{Method: "post", Action: "/add", Controls: []Control{text("Business name", "n"), choice("Category", "c")}}, ForListing},
	} {
		if got := PurposeOf(c.form); got != c.want {
			t.Errorf("%s: PurposeOf = %q, want %q", name, got, c.want)
		}
	}
}

func TestFreeReadsPlans(t *testing.T) {
	for text, want := range map[string]bool{
		"Free": true, "Free listing": true, "Basic ($0)": true, "0.00 USD": true, "Kostenlos": true, "€0,00 / month": true,
		"Featured, $99": false, "Free trial, then $9": false, "$0.99": false, "Premium": false, "Free for 30 days": false, "": false, "$10 off": false, "Basic $0 first month": false,
	} {
		if got := Free(text); got != want {
			t.Errorf("Free(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"businessName*": "[business name]", "Business-Name_2": "[business name 2]", "  ": "[]", "Öffnungszeiten": "[offnungszeiten]",
		"Straße": "[strasse]", "address1": "[address 1]", "URL": "[url]", "e-mail": "[e mail]", "contactURLs": "[contact urls]",
	} {
		if got := fmt.Sprint(words(text)); got != want {
			t.Errorf("words(%q) = %s, want %s", text, got, want)
		}
	}
}

func FuzzInfer(f *testing.F) {
	f.Add("Business name", "title", "text", "organization", "Acme Ltd.")
	f.Add("(", "((", "email", "cc-", "\x00")
	f.Fuzz(func(t *testing.T, label, name, kind, autocomplete, placeholder string) {
		c := Control{Tag: "input", Type: kind, Label: label, Name: name, Autocomplete: autocomplete, Placeholder: placeholder}
		form := Form{Controls: []Control{c, c, {Tag: "select", Label: label}, {Tag: "textarea", Near: label}}}
		for i, found := range Infer(form) {
			for j, g := range found.Guesses {
				if g.Confidence <= 0 || g.Confidence > 1 || g.Key == "" || g.Key == foreign || g.Evidence == "" {
					t.Errorf("control %d, guess %d: %+v", i, j, g)
				}
			}
		}
		PurposeOf(form)
	})
}
