package httpform

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"github.com/google/go-cmp/cmp"
)

// pageOf is a page as it would have come from https://directory.example/add.
func pageOf(t testing.TB, contentType, body string) *view {
	t.Helper()
	u, err := url.Parse("https://directory.example/add?step=1#form")
	if err != nil {
		t.Fatal(err)
	}
	return newView(&webclient.Page{URL: u, Status: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)})
}

func htmlPage(t testing.TB, body string) *view {
	t.Helper()
	return pageOf(t, "text/html; charset=utf-8", body)
}

// only is the one form of a page.
func only(t testing.TB, v *view) *form {
	t.Helper()
	forms := v.forms()
	if len(forms) != 1 {
		t.Fatalf("the page has %d forms, want 1", len(forms))
	}
	return forms[0]
}

// TestEntriesAreThoseOfABrowser follows "constructing the entry list" of the HTML
// standard. The query is what a browser sends for a form that nobody touched, with
// its first button pressed.
func TestEntriesAreThoseOfABrowser(t *testing.T) {
	for name, c := range map[string]struct{ form, want string }{
		"texts":             {`<input name=a value=1><input type=text name=b><textarea name=c>x</textarea>`, "a=1&b=&c=x"},
		"hidden":            {`<input type=hidden name=token value="a b&amp;c">`, "token=a+b%26c"},
		"tree order":        {`<select name=a><option>1</select><input name=b value=2><input name=a value=3>`, "a=1&b=2&a=3"},
		"no name":           {`<input value=1><input name="" value=2><select><option>3</select>`, ""},
		"disabled":          {`<input name=a value=1 disabled><select name=b disabled><option>1</select><textarea name=c disabled>x</textarea>`, ""},
		"disabled fieldset": {`<fieldset disabled><legend><input name=a value=1></legend><input name=b value=2><fieldset><input name=c value=3></fieldset></fieldset>`, "a=1"},
		"second legend":     {`<fieldset disabled><legend></legend><legend><input name=a value=1></legend></fieldset>`, ""},
		"outer fieldset":    {`<fieldset disabled><legend><fieldset><input name=a value=1></fieldset></legend></fieldset>`, "a=1"},
		"readonly is sent":  {`<input name=a value=1 readonly>`, "a=1"},
		"checkboxes":        {`<input type=checkbox name=a checked><input type=checkbox name=b value=yes checked><input type=checkbox name=c>`, "a=on&b=yes"},
		"empty checkbox":    {`<input type=checkbox name=a value="" checked>`, "a="},
		"radios":            {`<input type=radio name=a value=1><input type=radio name=a value=2 checked><input type=radio name=b value=3>`, "a=2"},
		"two ticked radios": {`<input type=radio name=a value=1 checked><input type=radio name=a value=2 checked>`, "a=2"},
		"radio case":        {`<INPUT TYPE=RADIO NAME=a VALUE=1 CHECKED>`, "a=1"},
		"select":            {`<select name=a><option value=1>one<option value=2 selected>two</select>`, "a=2"},
		"select default":    {`<select name=a><option disabled value=0>choose<option value=1>one</select>`, "a=1"},
		"select text":       {`<select name=a><option>  New   York </select>`, "a=New+York"},
		"select last wins":  {`<select name=a><option selected>1<option selected>2<option>3</select>`, "a=2"},
		"select of size":    {`<select name=a size=4><option>1<option>2</select>`, ""},
		"select multiple":   {`<select name=a multiple><option selected>1<option>2<option selected>3<option selected disabled>4</select>`, "a=1&a=3"},
		"disabled selected": {`<select name=a><option value="" disabled selected>choose<option>1</select>`, ""},
		"disabled optgroup": {`<select name=a><optgroup disabled><option>1</optgroup><option>2</select>`, "a=2"},
		"empty select":      {`<select name=a></select>`, ""},
		"datalist":          {`<datalist><input name=a value=1></datalist><input name=b value=2>`, "b=2"},
		"first button":      {`<input type=reset name=r value=0><button type=button name=x value=0></button><button name=go value=1>Go</button><input type=submit name=go value=2>`, "go=1"},
		"disabled button":   {`<button name=a value=1 disabled>Go</button><button name=b value=2>Go</button>`, "b=2"},
		"button, no value":  {`<button name=go>Go</button>`, "go="},
		"image button":      {`<input type=image name=go src=x>`, "go.x=0&go.y=0"},
		"nameless image":    {`<input type=image src=x>`, "x=0&y=0"},
		"file":              {`<input type=file name=logo>`, "logo="},
		"charset":           {`<input type=hidden name=_charset_ value=x>`, "_charset_=utf-8"},
		"dirname":           {`<input name=a value=1 dirname=a.dir>`, "a=1&a.dir=ltr"},
		"line breaks":       {"<textarea name=a>\n1\n2\r\n3</textarea>", "a=1%0D%0A2%0D%0A3"},
		"one line":          {"<input name=a value='1\n2'>", "a=12"},
		"trimmed":           {"<input type=email name=a value=' a@b '><input type=url name=b value=' x: '><input name=c value=' y '>", "a=a%40b&b=x%3A&c=+y+"},
		"range and colour":  {`<input type=range name=a min=10 max=20><input type=range name=b><input type=color name=c>`, "a=15&b=50&c=%23000000"},
		"unknown type":      {`<input type=frobnicate name=a value=1>`, "a=1"},
		"safe characters":   {`<input name=a value="azAZ09*-._ ~!'()">`, "a=azAZ09*-._+%7E%21%27%28%29"},
		"not ASCII":         {`<input name="ü" value="ß€">`, "%C3%BC=%C3%9F%E2%82%AC"},
		"template":          {`<template><input name=a value=1></template><input name=b value=2>`, "b=2"},
		"password and date": {`<input type=password name=p><input type=date name=d value=2026-01-02>`, "p=&d=2026-01-02"},
	} {
		f := only(t, htmlPage(t, "<form method=post>"+c.form+"</form>"))
		f.settleRadios()
		button, err := f.button("")
		if err != nil {
			t.Fatal(err)
		}
		e, err := f.effect(button)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(e.Body); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", name, c.form, got, c.want)
		}
	}
}

func TestControlsBelongToTheirFormOwner(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		want []string // the entries of each form
	}{
		"form attribute":     {`<form id=a method=post><input name=x value=1></form><input name=y value=2 form=a><input name=z value=3 form=none>`, []string{"x=1&y=2"}},
		"taken away":         {`<form id=a method=post><input name=x value=1 form=b></form><form id=b method=post></form>`, []string{"", "x=1"}},
		"outside of all":     {`<input name=x value=1><form method=post><input name=y value=2></form>`, []string{"y=2"}},
		"form within tables": {`<table><form method=post><tr><td>Name<td><input name=x value=1></tr><tr><td><input name=y value=2></tr></form></table>`, []string{"x=1&y=2"}},
		"nested form":        {`<form method=post><input name=x value=1><form><input name=y value=2></form></form>`, []string{"x=1&y=2"}},
	} {
		forms := htmlPage(t, c.page).forms()
		var got []string
		for _, f := range forms {
			e, err := f.effect(nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Body))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEffectGoesWhereTheFormSays(t *testing.T) {
	const page = "https://directory.example/add?step=1"
	for name, c := range map[string]struct {
		page, submit string
		want         webclient.Effect
	}{
		"post to itself":      {`<form method=post><input name=a value=1></form>`, "", webclient.Effect{Method: "POST", URL: page + "#form", ContentType: urlencoded, Body: []byte("a=1")}},
		"relative":            {`<form method=POST action="save"><input name=a value=1></form>`, "", webclient.Effect{Method: "POST", URL: "https://directory.example/save", ContentType: urlencoded, Body: []byte("a=1")}},
		"base":                {`<base href="/v2/"><form method=post action="save"></form>`, "", webclient.Effect{Method: "POST", URL: "https://directory.example/v2/save", ContentType: urlencoded, Body: []byte("")}},
		"empty ignores base":  {`<base href="/v2/"><form method=post action=""></form>`, "", webclient.Effect{Method: "POST", URL: page + "#form", ContentType: urlencoded, Body: []byte("")}},
		"base of no web site": {`<base href="data:x"><form method=post action="save"></form>`, "", webclient.Effect{Method: "POST", URL: "https://directory.example/save", ContentType: urlencoded, Body: []byte("")}},
		"get replaces query":  {`<form action="/go?x=1"><input name=a value="1 2"></form>`, "", webclient.Effect{Method: "GET", URL: "https://directory.example/go?a=1+2"}},
		"get of nothing":      {`<form action="/go?x=1"></form>`, "", webclient.Effect{Method: "GET", URL: "https://directory.example/go?"}},
		"button overrides": {`<form action="/a"><button>one</button><button name=do value=save formaction="/b" formmethod=post formenctype="text/plain">two</button></form>`, "do=save",
			webclient.Effect{Method: "POST", URL: "https://directory.example/b", ContentType: plainText, Body: []byte("do=save\r\n")}},
		"button by name": {`<form method=post><button name=do value=draft>x</button><button name=do value=save>y</button></form>`, "do",
			webclient.Effect{Method: "POST", URL: page + "#form", ContentType: urlencoded, Body: []byte("do=draft")}},
	} {
		f := only(t, htmlPage(t, c.page))
		button, err := f.button(c.submit)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.effect(button)
		if err != nil {
			t.Fatal(err)
		}
		c.want.Referer = page
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEffectRefusesFormsThatOnlyABrowserSends(t *testing.T) {
	for _, page := range []string{
		`<form action="javascript:send()"></form>`, `<form action="mailto:a@b.example"></form>`, `<form method=dialog></form>`, `<form action="http://[::1"></form>`,
	} {
		f := only(t, htmlPage(t, page))
		if _, err := f.effect(nil); err == nil {
			t.Errorf("%s: no error", page)
		}
	}
	if _, err := only(t, htmlPage(t, `<form><button name=a>x</button></form>`)).button("b"); err == nil {
		t.Error("a button that is not there is no error")
	}
}

func TestEffectIsEncodedLikeThePage(t *testing.T) {
	for name, c := range map[string]struct{ contentType, accept, value, want string }{
		"UTF-8":            {"text/html; charset=utf-8", "", "Zürich €", "a=Z%C3%BCrich+%E2%82%AC"},
		"latin1":           {"text/html; charset=iso-8859-1", "", "Z\xfcrich", "a=Z%FCrich"},
		"accept-charset":   {"text/html; charset=utf-8", "klingon, ISO-8859-1", "Zürich", "a=Z%FCrich"},
		"not in charset":   {"text/html; charset=utf-8", "iso-8859-1", "東", "a=%26%2326481%3B"},
		"euro is 1252":     {"text/html; charset=utf-8", "iso-8859-1", "€", "a=%80"},
		"UTF-16 cannot":    {"text/html; charset=utf-8", "utf-16", "ü", "a=%C3%BC"},
		"cyrillic":         {"text/html; charset=utf-8", "windows-1251", "Дом", "a=%C4%EE%EC"},
		"shift_jis":        {"text/html; charset=utf-8", "shift_jis", "東京", "a=%93%8C%8B%9E"},
		"iso-2022-jp ends": {"text/html; charset=utf-8", "iso-2022-jp", "東", "a=%1B%24BEl%1B%28B"},
	} {
		f := only(t, pageOf(t, c.contentType, `<form method=post accept-charset="`+c.accept+`"><input name=a value="`+c.value+`"></form>`))
		e, err := f.effect(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(e.Body); got != c.want {
			t.Errorf("%s: body = %s, want %s", name, got, c.want)
		}
	}
}

func TestMultipartIsThatOfTheStandard(t *testing.T) {
	f := only(t, htmlPage(t, `<form method=post enctype="multipart/form-data"><input name='a"b' value="1"><textarea name=t>x
y</textarea><input type=file name=logo><input type=file name=none></form>`))
	f.byName("logo")[0].file = &file{name: "lo\"go.png", mediaType: "image/png", content: []byte("\x89PNG\r\n\n")}
	e, err := f.effect(nil)
	if err != nil {
		t.Fatal(err)
	}
	boundary, ok := strings.CutPrefix(e.ContentType, "multipart/form-data; boundary=")
	if !ok || len(boundary) < 20 {
		t.Fatalf("content type = %q", e.ContentType)
	}
	want := strings.Join([]string{
		"--B", `Content-Disposition: form-data; name="a%22b"`, "", "1",
		"--B", `Content-Disposition: form-data; name="t"`, "", "x", "y",
		"--B", `Content-Disposition: form-data; name="logo"; filename="lo%22go.png"`, "Content-Type: image/png", "", "\x89PNG\r\n\n",
		"--B", `Content-Disposition: form-data; name="none"; filename=""`, "Content-Type: application/octet-stream", "", "",
		"--B--", "",
	}, "\r\n")
	if diff := cmp.Diff(want, strings.ReplaceAll(string(e.Body), boundary, "B")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzForms(f *testing.F) {
	f.Add(`<form method=post><input name=a value=1 required><select name=b><option>x</select><button>Go</button></form>`)
	f.Add(`<table><form><tr><td><input name=x form=y>`)
	f.Add(`<style>.a{display:none} @media print{.b{}} /*</style><form><label for=a>A<input id=a aria-labelledby="a a">`)
	f.Fuzz(func(t *testing.T, page string) {
		v := htmlPage(t, page)
		v.text()
		for _, form := range v.forms() {
			form.settleRadios()
			form.captcha()
			form.cutOff()
			button, _ := form.button("")
			e, err := form.effect(button)
			if err != nil {
				continue
			}
			if _, err := url.Parse(e.URL); err != nil {
				t.Errorf("the form is sent to %q", e.URL)
			}
			if e.ContentType == urlencoded {
				if _, err := url.ParseQuery(string(e.Body)); err != nil {
					t.Errorf("the body %q cannot be read: %v", e.Body, err)
				}
			}
		}
	})
}
