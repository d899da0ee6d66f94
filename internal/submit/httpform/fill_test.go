package httpform

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/google/go-cmp/cmp"
)

// fillPage fills the one form of a page and returns what would be sent.
func fillPage(t *testing.T, page string, d *directory.Directory, step directory.Step, infer bool, edit ...func(*directory.Business)) (url.Values, *verdict) {
	t.Helper()
	b := acme(t)
	for _, e := range edit {
		e(b)
	}
	f := only(t, htmlPage(t, page))
	err := filler{form: f, directory: d, business: b}.fill(step, infer)
	if end, ok := errors.AsType[*verdict](err); ok {
		return nil, end
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.effect(nil)
	if err != nil {
		t.Fatal(err)
	}
	values, err := url.ParseQuery(string(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	return values, nil
}

func form1(controls string) string { return "<form method=post>" + controls + "</form>" }

func TestFillPutsInWhatTheCatalogNames(t *testing.T) {
	mapped := &directory.Directory{Categories: map[string]string{"plumber": "17", "*": "99"}}
	for name, c := range map[string]struct {
		controls string
		field    directory.Field
		want     url.Values
	}{
		"by name":             {`<input name=f1>`, directory.Field{Name: "f1", Profile: "name"}, url.Values{"f1": {"Acme Plumbing"}}},
		"by label":            {`<label for=x>Business Name: *</label><input id=x name=f1>`, directory.Field{Label: "business name", Profile: "name"}, url.Values{"f1": {"Acme Plumbing"}}},
		"by label around":     {`<label>Business name <input name=f1></label>`, directory.Field{Label: "Business name", Profile: "name"}, url.Values{"f1": {"Acme Plumbing"}}},
		"by aria-label":       {`<input name=f1 aria-label="Business name">`, directory.Field{Label: "Business name", Profile: "name"}, url.Values{"f1": {"Acme Plumbing"}}},
		"by cell before":      {`<table><tr><td>Business name</td><td><input name=f1></td></tr></table>`, directory.Field{Label: "Business name", Profile: "name"}, url.Values{"f1": {"Acme Plumbing"}}},
		"by CSS":              {`<input name=f1 class=b><input name=f2>`, directory.Field{CSS: "input.b", Profile: "city"}, url.Values{"f1": {"Austin"}, "f2": {""}}},
		"literal":             {`<input name=f1>`, directory.Field{Name: "f1", Value: "free"}, url.Values{"f1": {"free"}}},
		"left empty":          {`<input name=f1 value=x>`, directory.Field{Name: "f1"}, url.Values{"f1": {""}}},
		"box ticked":          {`<input type=checkbox name=f1 value=yes>`, directory.Field{Name: "f1", Value: "true"}, url.Values{"f1": {"yes"}}},
		"box unticked":        {`<input type=checkbox name=f1 value=yes checked>`, directory.Field{Name: "f1", Value: "false"}, url.Values{}},
		"box with twin":       {`<input type=hidden name=f1 value=0><input type=checkbox name=f1 value=1>`, directory.Field{Name: "f1", Value: "true"}, url.Values{"f1": {"0", "1"}}},
		"box of several":      {`<label><input type=checkbox name=f1 value=1>Cash</label><label><input type=checkbox name=f1 value=2>Card</label>`, directory.Field{Name: "f1", Value: "Card"}, url.Values{"f1": {"2"}}},
		"radio by value":      {`<input type=radio name=f1 value=a checked><input type=radio name=f1 value=b>`, directory.Field{Name: "f1", Value: "b"}, url.Values{"f1": {"b"}}},
		"radio by label":      {`<label><input type=radio name=f1 value=1>Free</label><label><input type=radio name=f1 value=2>Paid</label>`, directory.Field{Name: "f1", Value: "Free"}, url.Values{"f1": {"1"}}},
		"radio by legend":     {`<fieldset><legend>Plan</legend><input type=radio name=f1 value=1><input type=radio name=f1 value=2></fieldset>`, directory.Field{Label: "Plan", Value: "2"}, url.Values{"f1": {"2"}}},
		"hidden":              {`<input type=hidden name=f1 value=old>`, directory.Field{Name: "f1", Value: "new"}, url.Values{"f1": {"new"}}},
		"select by value":     {`<select name=f1><option value=DE>Germany<option value=US>USA</select>`, directory.Field{Name: "f1", Profile: "country"}, url.Values{"f1": {"US"}}},
		"select by text":      {`<select name=f1><option value=1>Germany<option value=2>United  States</select>`, directory.Field{Name: "f1", Profile: "country"}, url.Values{"f1": {"2"}}},
		"region by name":      {`<select name=f1><option value=1>Utah<option value=2>Texas</select>`, directory.Field{Name: "f1", Profile: "region"}, url.Values{"f1": {"2"}}},
		"category by map":     {`<select name=f1><option value=99>Other<option value=17>Plumbers</select>`, directory.Field{Name: "f1", Profile: "category"}, url.Values{"f1": {"17"}}},
		"category map, text":  {`<select name=f1><option value=a>Other<option value=b>17</select>`, directory.Field{Name: "f1", Profile: "category"}, url.Values{"f1": {"b"}}},
		"cut by the catalog":  {`<textarea name=f1></textarea>`, directory.Field{Name: "f1", Profile: "description", Max: 30}, url.Values{"f1": {"Acme Plumbing repairs pipes"}}},
		"cut by maxlength":    {`<input name=f1 maxlength=20>`, directory.Field{Name: "f1", Profile: "description"}, url.Values{"f1": {"Acme Plumbing"}}},
		"phone by pattern":    {`<input name=f1 pattern="[0-9]{10,11}">`, directory.Field{Name: "f1", Profile: "phone"}, url.Values{"f1": {"5125550123"}}},
		"disabled stays":      {`<input name=f1 value=x disabled>`, directory.Field{Name: "f1", Profile: "name"}, url.Values{}},
		"optional and absent": {`<input name=f2 value=x>`, directory.Field{Name: "f1", Profile: "name"}, url.Values{"f2": {"x"}}},
	} {
		got, end := fillPage(t, form1(c.controls), mapped, directory.Step{Fields: []directory.Field{c.field}}, false)
		if end != nil {
			t.Errorf("%s: %v", name, end)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFillStopsBeforeItGuesses(t *testing.T) {
	required := func(f directory.Field) []directory.Field { f.Required = true; return []directory.Field{f} }
	noPhone := func(b *directory.Business) { b.Phone = "" }
	noLogo := func(b *directory.Business) { b.Logo = "" }
	mapped := map[string]string{"bakery": "23"}
	for name, c := range map[string]struct {
		controls   string
		fields     []directory.Field
		categories map[string]string
		edit       func(*directory.Business)
		need       string // empty: failed
		says       string
	}{
		"field gone":                      {controls: `<input name=x>`, fields: required(directory.Field{Name: "f1", Profile: "name"}), says: `no field "f1"`},
		"label twice":                     {controls: `<label>Name <input name=a></label><label>Name <input name=b></label>`, fields: required(directory.Field{Label: "name", Profile: "name"}), says: "ambiguous"},
		"name twice":                      {controls: `<input name=a><input name=a>`, fields: required(directory.Field{Name: "a", Profile: "name"}), says: "ambiguous"},
		"literal not offered":             {controls: `<select name=a><option>1</select>`, fields: required(directory.Field{Name: "a", Value: "2"}), says: "does not take"},
		"profile lacks it":                {controls: `<input name=a>`, fields: required(directory.Field{Name: "a", Profile: "phone"}), edit: noPhone, need: directory.NeedMissingField, says: "phone"},
		"no logo":                         {controls: `<input type=file name=a>`, fields: required(directory.Field{Name: "a", File: "logo"}), edit: noLogo, need: directory.NeedMissingField, says: "logo"},
		"logo not taken":                  {controls: `<input type=file name=a accept=".pdf">`, fields: required(directory.Field{Name: "a", File: "logo"}), need: directory.NeedMissingField, says: "logo"},
		"website too long":                {controls: `<input name=a maxlength=5>`, fields: required(directory.Field{Name: "a", Profile: "website"}), need: directory.NeedMissingField, says: "website"},
		"no category mapped":              {controls: `<select name=a><option value="">-<option value=23>Bakeries</select>`, fields: required(directory.Field{Name: "a", Profile: "category"}), categories: mapped, need: directory.NeedCategoryChoice, says: "plumber"},
		"no category mapped, inferred":    {controls: `<label>Category <select name=a required><option value="">-<option value=23>Bakeries</select></label>`, categories: mapped, need: directory.NeedCategoryChoice, says: "plumber"},
		"a wrong category by default":     {controls: `<label>Category <select name=a><option value=23>Bakeries<option value=24>Bars</select></label>`, need: directory.NeedCategoryChoice, says: "plumber"},
		"required and not understood":     {controls: `<label>Favourite colour <input name=a required></label>`, need: directory.NeedMissingField, says: "Favourite colour"},
		"starred and not understood":      {controls: `<label>Favourite colour * <input name=a></label>`, need: directory.NeedMissingField, says: "Favourite colour"},
		"aria-required":                   {controls: `<label>Colour <input name=a aria-required=true></label>`, need: directory.NeedMissingField, says: "Colour"},
		"required radio":                  {controls: `<fieldset><legend>Size</legend><input type=radio name=a value=1 required><input type=radio name=a value=2></fieldset>`, need: directory.NeedMissingField, says: "Size"},
		"required select":                 {controls: `<label>Size <select name=a required><option value="">-<option>1</select></label>`, need: directory.NeedMissingField, says: "Size"},
		"required file":                   {controls: `<label>Trade licence <input type=file name=a required></label>`, need: directory.NeedMissingField, says: "Trade licence"},
		"pattern refuses all we have":     {controls: `<label>Phone <input type=tel name=a required pattern="0049.*"></label>`, need: directory.NeedMissingField, says: "phone"},
		"terms required":                  {controls: `<label><input type=checkbox name=a required> I agree to the terms</label>`, need: directory.NeedTerms, says: "agree"},
		"terms that say so only in words": {controls: `<label><input type=checkbox name=a> I accept the Terms and Conditions</label>`, need: directory.NeedTerms, says: "accept"},
		"password":                        {controls: `<label>Choose a password <input type=password name=a required></label><input name=b><input name=c><input name=d>`, need: directory.NeedLogin, says: "password"},
		"captcha field":                   {controls: `<label>What is 3 + 4? <input name=a required></label>`, need: directory.NeedCaptcha, says: "3 + 4"},
		"no free plan":                    {controls: `<fieldset><legend>Choose your plan</legend><label><input type=radio name=p value=1 checked>Silver $9</label><label><input type=radio name=p value=2>Gold $99</label></fieldset>`, need: directory.NeedPayment, says: "Choose your plan"},
	} {
		_, end := fillPage(t, form1(c.controls), &directory.Directory{Categories: c.categories}, directory.Step{Fields: c.fields}, true, func(b *directory.Business) {
			if c.edit != nil {
				c.edit(b)
			}
		})
		switch {
		case end == nil:
			t.Errorf("%s: filled in", name)
		case c.need == "" && (end.Outcome.State != directory.FailedState || end.Outcome.Class != directory.ClassPermanent),
			c.need != "" && (end.Outcome.State != directory.NeedsAction || end.Outcome.Need != c.need),
			!strings.Contains(end.Outcome.Reason, c.says):
			t.Errorf("%s: %v (need %q), want need %q and a reason with %q", name, end, end.Outcome.Need, c.need, c.says)
		}
	}
}

func TestFillInfersOnlyWhatItMay(t *testing.T) {
	for name, c := range map[string]struct {
		controls string
		infer    bool
		want     url.Values
	}{
		"switched off":           {`<label>Business name <input name=a></label>`, false, url.Values{"a": {""}}},
		"switched on":            {`<label>Business name <input name=a></label>`, true, url.Values{"a": {"Acme Plumbing"}}},
		"defaults stay":          {`<label>City <input name=a value=Boston></label>`, true, url.Values{"a": {"Boston"}}},
		"traps stay empty":       {`<label>Website <input name=a></label><div style="position:absolute; left:-5000px"><label>Website <input name=url></label></div>`, true, url.Values{"a": {"https://www.acme.example/"}, "url": {""}}},
		"traps by stylesheet":    {`<style>/* x */ .h, .i {display: none}</style><div class=i><input name=email></div>`, true, url.Values{"email": {""}}},
		"wide screens only":      {`<style>@media print { .i {display:none} }</style><div class=i><input name=email></div>`, true, url.Values{"email": {"office@acme.example"}}},
		"newsletter stays off":   {`<label><input type=checkbox name=n> Send me your newsletter</label>`, true, url.Values{}},
		"free plan chosen":       {`<fieldset><legend>Choose your plan</legend><label><input type=radio name=p value=1 checked>Gold $99</label><label><input type=radio name=p value=2>Free</label></fieldset>`, true, url.Values{"p": {"2"}}},
		"country in words":       {`<label>Country <input name=c></label>`, true, url.Values{"c": {"United States"}}},
		"country by token":       {`<input name=c autocomplete=country>`, true, url.Values{"c": {"US"}}},
		"category in words":      {`<label>Category <input name=c></label>`, true, url.Values{"c": {"Plumber"}}},
		"region in words":        {`<label>State <select name=s><option value="">-<option value=44>Texas</select></label>`, true, url.Values{"s": {"44"}}},
		"no word, no value":      {`<input name=x1><textarea name=x2></textarea>`, true, url.Values{"x1": {""}, "x2": {""}}},
		"optional and too small": {`<label>Website <input name=w maxlength=4></label>`, true, url.Values{"w": {""}}},
		"keywords cut":           {`<label>Keywords <input name=k maxlength=25></label>`, true, url.Values{"k": {"plumber, drain cleaning"}}},
		"names apart":            {`<label>First name <input name=f></label><label>Last name <input name=l></label>`, true, url.Values{"f": {"Ada Maria"}, "l": {"Smith"}}},
	} {
		got, end := fillPage(t, form1(c.controls), &directory.Directory{}, directory.Step{}, c.infer)
		if end != nil {
			t.Errorf("%s: %v", name, end)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFillUploadsTheLogo(t *testing.T) {
	for accept, want := range map[string]bool{"": true, "image/*": true, ".png, .jpg": true, "image/png": true, "image/gif": false, ".pdf": false} {
		f := only(t, htmlPage(t, form1(`<label>Logo <input type=file name=logo accept="`+accept+`"></label>`)))
		if err := (filler{form: f, directory: &directory.Directory{}, business: acme(t)}).fill(directory.Step{}, true); err != nil {
			t.Fatal(err)
		}
		upload := f.byName("logo")[0].file
		if (upload != nil) != want {
			t.Errorf("accept %q: uploaded %t, want %t", accept, upload != nil, want)
		}
		if upload != nil && (upload.name != "logo.png" || upload.mediaType != "image/png" || len(upload.content) == 0) {
			t.Errorf("accept %q: upload = %s %s of %d bytes", accept, upload.name, upload.mediaType, len(upload.content))
		}
	}
}

func TestShortenCutsAtAWord(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"one two three", 13, "one two three"},
		{"one two three", 12, "one two"},
		{"one two three", 7, "one two"},
		{"one two, three", 8, "one two"},
		{"onetwothree", 5, "onetw"},
		{"a verylongwordindeed", 10, "a verylong"},
		{"Zürich Bäcker", 7, "Zürich"},
		{"", 3, ""},
		{"abc", 0, ""},
	} {
		if got := shorten(c.text, c.n); got != c.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func TestMaxlengthCountsAsBrowsersDo(t *testing.T) {
	c := &control{}
	c.Tag, c.MaxLength = "textarea", 5
	if got, ok := c.fit("😀😀😀", 0, true); !ok || got != "😀😀" {
		t.Errorf("fit = %q, %t, want two characters of two units each", got, ok)
	}
}

func TestPickTakesTheOneFormOrNone(t *testing.T) {
	const listing = `<form id=l method=post><input name=business_name><input name=website><textarea name=about></textarea></form>`
	const search, login, news = `<form role=search><input name=q></form>`, `<form id=login><input name=user><input type=password name=pw></form>`, `<form class=newsletter><input type=email name=email></form>`
	for name, c := range map[string]struct {
		page, selector string
		fields         []directory.Field
		need, says     string // says empty: picked
	}{
		"alone":                     {page: listing},
		"among others":              {page: search + login + listing + news},
		"by selector":               {page: listing + listing, selector: "form:nth-of-type(2)"},
		"by what is in it":          {page: search + listing, selector: "textarea[name=about]"},
		"two alike":                 {page: listing + listing, says: "ambiguous"},
		"two by selector":           {page: listing + listing, selector: "form", says: "ambiguous"},
		"two, told apart by fields": {page: listing + `<form><input name=a><input name=b></form>`, fields: []directory.Field{{Name: "website"}}},
		"none":                      {page: search + news, says: "the form is gone"},
		"none that matches":         {page: listing, selector: "#x", says: `no form of the page matches "#x"`},
		"bad selector":              {page: listing, selector: "[[", says: "no CSS selector"},
		"a login":                   {page: search + login, need: directory.NeedLogin, says: "login"},
		"a payment":                 {page: `<form><input autocomplete=cc-number></form>`, need: directory.NeedPayment, says: "payment"},
		"a captcha":                 {page: `<div class=h-captcha></div>`, need: directory.NeedCaptcha, says: "captcha"},
		"nothing":                   {page: ``, says: "the form is gone"},
	} {
		_, err := htmlPage(t, c.page).pick(directory.Step{Form: c.selector, Fields: c.fields})
		end, _ := errors.AsType[*verdict](err)
		switch {
		case c.says == "" && err == nil:
		case c.says == "" || end == nil || !strings.Contains(end.Outcome.Reason, c.says) || end.Outcome.Need != c.need:
			t.Errorf("%s: %v, want need %q and %q", name, err, c.need, c.says)
		}
	}
}
