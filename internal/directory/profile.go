package directory

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Options loosen the checks of a profile.
type Options struct {
	// AllowLocal accepts websites and e-mail addresses on hosts that are not
	// public, like localhost: for a sandbox.
	AllowLocal bool
}

// Fault is one thing wrong with a profile: where, and what with its remedy.
type Fault struct {
	Field   string `json:"field"` // key in the profile; empty: the profile as a whole
	Message string `json:"message"`
}

// ProfileError is a profile that was refused, with every fault at once.
type ProfileError struct {
	Faults []Fault
}

// Error is the one fault, or how many there are and each on its own line.
func (e *ProfileError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = strings.TrimPrefix(f.Field+": "+f.Message, ": ")
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("the profile has %d faults:\n%s", len(lines), strings.Join(lines, "\n"))
}

// ReadProfile reads a profile file with no option set, see [Options.ReadProfile].
func ReadProfile(path string) (*Business, error) { return Options{}.ReadProfile(path) }

// ParseProfile reads a profile with no option set, see [Options.ParseProfile].
func ParseProfile(data []byte) (*Business, error) { return Options{}.ParseProfile(data) }

// Limits of a profile. JSON may hold a logo of the largest size in base64; YAML
// is read by a parser whose time grows with the square of the size, so it may
// hold every text and no such logo.
const (
	maxProfile     = 10 << 20
	maxProfileYAML = 64 << 10
)

// ReadProfile reads a profile from a YAML or JSON file, normalized and checked. A
// logo is a path relative to the file; it is read and becomes a data: URL. What
// is wrong with the content is a *ProfileError.
func (o Options) ReadProfile(path string) (*Business, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read profile: %s is not a file: name a YAML or JSON file", path)
	}
	if info.Size() > maxProfile {
		return nil, fmt.Errorf("read profile: %s has %d bytes, more than the %d a profile may have", path, info.Size(), maxProfile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	b, err := o.parse(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", path, err)
	}
	return b, nil
}

// ParseProfile reads a profile from YAML or JSON, normalized and checked. A logo
// must be a data: URL. The error is a *ProfileError: unknown keys, values of the
// wrong kind, and everything that [Options.Validate] finds.
func (o Options) ParseProfile(data []byte) (*Business, error) {
	if len(data) > maxProfile {
		return nil, &ProfileError{[]Fault{{Message: fmt.Sprintf("has %d bytes, more than the %d a profile may have", len(data), maxProfile)}}}
	}
	return o.parse(data, "")
}

// parse reads a profile; a logo that is a path is read relative to dir, unless
// dir is empty.
func (o Options) parse(data []byte, dir string) (*Business, error) {
	data = withoutBOM(data)
	if len(data) > maxProfileYAML && !json.Valid(data) {
		return nil, &ProfileError{[]Fault{{Message: fmt.Sprintf("has %d bytes and is not JSON, in YAML at most %d are read: "+
			"name the logo's file instead of its content, or write JSON", len(data), maxProfileYAML)}}}
	}
	root, err := readTree(data)
	if err != nil {
		return nil, &ProfileError{[]Fault{{Message: err.Error()}}}
	}
	if root.kind == kindNull {
		return nil, &ProfileError{[]Fault{{Message: "is empty: write the business down, examples/profile.yaml shows how"}}}
	}
	var b Business
	binder := newBinder()
	binder.bind(root, reflect.ValueOf(&b).Elem(), "")
	faults := binder.profileFaults()
	if fault := b.embedLogo(dir); fault != nil {
		faults = append(faults, *fault)
		b.Logo = ""
	}
	b.Normalize()
	var invalid *ProfileError
	if errors.As(o.Validate(&b), &invalid) {
		for _, f := range invalid.Faults {
			if !binder.hidden(f.Field) {
				faults = append(faults, f)
			}
		}
	}
	if len(faults) > 0 {
		return nil, &ProfileError{faults}
	}
	return &b, nil
}

// profileFaults phrases what the binder found for whoever wrote the profile.
func (b *binder) profileFaults() []Fault {
	var faults []Fault
	for _, f := range b.faults {
		faults = append(faults, Fault{Field: f.path, Message: fmt.Sprintf("%s (line %d): %s", f.message, f.line, f.remedy)})
	}
	return faults
}

// embedLogo reads the logo's file and puts its content in the file's place.
func (b *Business) embedLogo(dir string) *Fault {
	if b.Logo == "" || strings.HasPrefix(b.Logo, "data:") || dir == "" {
		return nil // Validate has the word
	}
	path := b.Logo
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := readLogo(path)
	if err != nil {
		return &Fault{"logo", fmt.Sprintf("%v: name a PNG, JPEG or WebP file beside the profile, or remove the key", err)}
	}
	kind, fault := checkImage(data)
	if fault != "" {
		return &Fault{"logo", fmt.Sprintf("%s %s", path, fault)}
	}
	b.Logo = "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
	return nil
}

// readLogo reads no more of a file than a logo may have, and one byte.
func readLogo(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > maxLogo {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d a logo may have", path, info.Size(), maxLogo)
	}
	return os.ReadFile(path)
}
