package directory

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleProfile(t testing.TB) *Business {
	t.Helper()
	b, err := ReadProfile("../../examples/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// faults returns the profile's faults as lines.
func faults(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *ProfileError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want a *ProfileError", err)
	}
	var lines []string
	for _, f := range invalid.Faults {
		lines = append(lines, f.Field+": "+f.Message)
	}
	return lines
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func pngOf(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadProfileNormalizes(t *testing.T) {
	b := exampleProfile(t)
	if b.Phone != "+15035550142" || b.PostalCode != "97205" || !strings.Contains(b.Description, "\n\nThe shop") {
		t.Errorf("got %+v", b)
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/profile/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no profiles: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := ReadProfile(file)
			if err == nil {
				t.Fatal("the profile was accepted")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", strings.Join(faults(t, err), "\n")+"\n")
		})
	}
}

func TestProfileMayBeJSON(t *testing.T) {
	want := exampleProfile(t)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = ParseProfile([]byte(strings.Replace(string(text), `"email"`, "\n"+`"e_mail": 1, "email"`, 1)))
	wantFaults := []string{`: unknown key "e_mail" (line 2): did you mean email?`}
	if diff := cmp.Diff(wantFaults, faults(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAByteOrderMarkIsSkipped(t *testing.T) {
	const mark = "\ufeff"
	want, text := exampleProfile(t), profileText(t)
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text, string(data), string(data) + strings.Repeat(" ", maxProfileYAML)} {
		got, err := ParseProfile([]byte(mark + s))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with a byte order mark (-want +got):\n%s", diff)
		}
	}
	catalog, err := os.ReadFile("../../examples/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	name := writeFile(t, filepath.Join(t.TempDir(), "catalog.yaml"), append([]byte(mark), catalog...))
	if _, err := Load(name); err != nil {
		t.Error(err)
	}
}

func profileText(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../examples/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestUnreadableProfileSaysWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":  {"", "is empty"},
		"comment":  {"# soon\n", "is empty"},
		"list":     {"- a", "must be keys and values, not a list (line 1)"},
		"syntax":   {"name: a\ncity: \"b\n", "line 2: not readable as YAML"},
		"alias":    {"name: &a x\ncity: *a", "line 1: anchors"},
		"JSON":     {`{"name": "a",`, "not readable"},
		"too long": {strings.Repeat("a: b\n", maxProfileYAML/5+1), "name the logo's file instead"},
		"too deep": {strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseProfile([]byte(c.text))
			if got := strings.Join(faults(t, err), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestReadProfileNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"missing":   filepath.Join(dir, "absent.yaml"),
		"directory": dir,
		"faulty":    writeFile(t, filepath.Join(dir, "faulty.yaml"), []byte("name: x\n")),
		"huge":      writeFile(t, filepath.Join(dir, "huge.yaml"), make([]byte, maxProfile+1)),
	} {
		if _, err := ReadProfile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLogoBesideTheProfileBecomesADataURL(t *testing.T) {
	text, err := os.ReadFile("../../examples/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data := pngOf(t, 8, 8)
	writeFile(t, filepath.Join(dir, "logo.png"), data)
	path := writeFile(t, filepath.Join(dir, "profile.yaml"), append(text, "logo: logo.png\n"...))
	b, err := ReadProfile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, mediaType, got, ok := b.LogoFile()
	if !ok || name != "logo.png" || mediaType != "image/png" || !bytes.Equal(got, data) {
		t.Errorf("got %q %q %d bytes %v", name, mediaType, len(got), ok)
	}
	if err := b.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := ParseProfile(append(text, "logo: logo.png\n"...)); err == nil || !strings.Contains(err.Error(), "logo: is not a data: URL") {
		t.Errorf("a path without a file: got %v", err)
	}
}

func TestLogoIsChecked(t *testing.T) {
	small := pngOf(t, 2, 2)
	webp := append([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07"), 0)
	dataURL := func(kind string, data []byte) string {
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
	}
	for name, c := range map[string]struct{ logo, want string }{
		"png":        {dataURL("image/png", small), ""},
		"webp":       {dataURL("image/webp", webp), ""},
		"other type": {dataURL("image/jpeg", small), "holds image/png"},
		"cut":        {dataURL("image/png", small[:len(small)-20]), "damaged"},
		"cut webp":   {dataURL("image/webp", webp[:20]), "damaged"},
		"no image":   {dataURL("image/png", []byte("hello")), "not a PNG, JPEG or WebP"},
		"svg":        {dataURL("image/svg+xml", []byte("<svg/>")), "not a PNG, JPEG or WebP"},
		"link":       {"https://example.com/logo.png", "not a data: URL"},
		"not base64": {"data:image/png;base64,***", "not a readable data: URL"},
		"plain":      {"data:image/png,abc", "not a readable data: URL"},
		"too large":  {dataURL("image/png", make([]byte, maxLogo+1)), "more than"},
		"bomb":       {dataURL("image/png", pngOf(t, 6000, 5000)), "pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			b := exampleProfile(t)
			b.Logo = c.logo
			got := strings.Join(faults(t, b.Validate()), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestWebPHeadersAreRead(t *testing.T) {
	file := func(chunk string, frame ...byte) []byte {
		data := append([]byte("RIFF\x00\x00\x00\x00WEBP"+chunk+"\x00\x00\x00\x00"), frame...)
		data = append(data, make([]byte, max(0, 30-len(data)))...)
		data[4] = byte(len(data) - 8)
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"lossy":             {file("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 8, 0), ""},
		"lossy without key": {file("VP8 ", 0, 0, 0, 1, 2, 3, 16, 0, 8, 0), "damaged"},
		"lossy of no size":  {file("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 8, 0), "pixels"},
		"extended":          {file("VP8X", 0, 0, 0, 0, 99, 0, 0, 49, 0, 0), ""},
		"extended bomb":     {file("VP8X", 0, 0, 0, 0, 255, 255, 255, 255, 255, 255), "pixels"},
		"lossless":          {file("VP8L", 0x2f, 7, 0, 0, 0), ""},
		"lossless unsigned": {file("VP8L", 0x2e, 7, 0, 0, 0), "damaged"},
		"unknown chunk":     {file("ABCD"), "damaged"},
		"a sound":           {[]byte("RIFF\x1a\x00\x00\x00WAVEfmt 0123456789abcdef"), "damaged"},
	} {
		kind, fault := checkImage(c.data)
		if !strings.Contains(fault, c.want) || (fault == "") != (c.want == "") || fault == "" && kind != "image/webp" {
			t.Errorf("%s: got %q %q, want %q", name, kind, fault, c.want)
		}
	}
}

func TestWithoutLogoThereIsNoFile(t *testing.T) {
	for _, logo := range []string{"", "logo.png", "data:text/html;base64,aGk="} {
		if _, _, _, ok := (&Business{Logo: logo}).LogoFile(); ok {
			t.Errorf("%q gave a file", logo)
		}
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte("name: a\nsocials: {x: https://x.com/a}\nkeywords: [a, '']\n"))
	f.Add([]byte(`{"name":"\ud83d\ude00","year_founded":1e3,"logo":"data:image/png;base64,AAAA"}`))
	f.Add([]byte("hours: Mo-Fr 09:00-17:00 ; Sa\nphone: '+1'\nwebsite: HTTP://[::1]:80/\nemail: a@ü.example\ncountry: gb\npostal_code: sw1a1aa\n"))
	if example, err := os.ReadFile("../../examples/profile.yaml"); err == nil {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseProfile(data)
		if err != nil {
			for _, line := range faults(t, err) {
				if line == ": " {
					t.Error("a fault says nothing")
				}
			}
			return
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseProfile(text)
		if err != nil {
			t.Fatalf("what was accepted is refused when written again: %v\n%s", err, text)
		}
		if diff := cmp.Diff(b, again); diff != "" {
			t.Errorf("normalizing twice is not normalizing once:\n%s", diff)
		}
	})
}
