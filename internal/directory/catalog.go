package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Catalog is a set of directories that passed every check. It does not change
// once loaded and may be read concurrently; so its entries must not be changed.
type Catalog struct {
	directories []*Directory
	bySlug      map[string]*Directory
	version     string
}

// All lists the directories by slug. The slice is the caller's own.
func (c *Catalog) All() []*Directory { return slices.Clone(c.directories) }

// BySlug finds a directory.
func (c *Catalog) BySlug(slug string) (*Directory, bool) {
	d, ok := c.bySlug[slug]
	return d, ok
}

// Len is the number of directories, inactive ones included.
func (c *Catalog) Len() int { return len(c.directories) }

// Version is a hash of all entries; it changes when any of them does.
func (c *Catalog) Version() string { return c.version }

// Load reads and checks a catalog: a file, or a directory whose *.yaml and *.yml
// files are read together. A file holds one entry, or a list of them under the
// key directories. When anything is wrong with the content the error is a
// *CatalogError with all findings, and nothing is loaded.
func Load(name string) (*Catalog, error) {
	fsys, name, prefix, err := open(name)
	if err != nil {
		return nil, err
	}
	return load(fsys, name, prefix)
}

// LoadFS is [Load] from a file system; name is "." for all of it.
func LoadFS(fsys fs.FS, name string) (*Catalog, error) { return load(fsys, name, "") }

// Lint checks a catalog as [Load] does and returns every finding, warnings
// included, by file and line. The error is only for files that cannot be read.
func Lint(name string) ([]Finding, error) {
	fsys, name, prefix, err := open(name)
	if err != nil {
		return nil, err
	}
	return lint(fsys, name, prefix)
}

// LintFS is [Lint] on a file system.
func LintFS(fsys fs.FS, name string) ([]Finding, error) { return lint(fsys, name, "") }

// NewCatalog makes a catalog of entries that did not come from a file, under the
// same checks. It keeps copies, with their versions filled in.
func NewCatalog(directories ...Directory) (*Catalog, error) {
	var entries []entry
	for _, d := range directories {
		entries = append(entries, entry{Directory: &d, binder: newBinder()})
	}
	return build(entries, check(entries, "the catalog"))
}

// entry is a directory on its way into the catalog.
type entry struct {
	*Directory
	file   string
	line   int
	binder *binder
	parsed bool // false: made by NewCatalog, so no key can be missing
}

// open turns the name of a file or directory into a file system and the name in
// it; prefix completes the names of its files for people.
func open(name string) (fsys fs.FS, in, prefix string, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, "", "", fmt.Errorf("read catalog: %w", err)
	}
	if info.IsDir() {
		return os.DirFS(name), ".", name, nil
	}
	return os.DirFS(filepath.Dir(name)), filepath.Base(name), strings.TrimSuffix(name, filepath.Base(name)), nil
}

func load(fsys fs.FS, name, prefix string) (*Catalog, error) {
	entries, findings, err := read(fsys, name, prefix)
	if err != nil {
		return nil, err
	}
	return build(entries, findings)
}

func lint(fsys fs.FS, name, prefix string) ([]Finding, error) {
	_, findings, err := read(fsys, name, prefix)
	return findings, err
}

// read reads all files and checks all entries.
func read(fsys fs.FS, name, prefix string) ([]entry, []Finding, error) {
	files, err := catalogFiles(fsys, name)
	if err != nil {
		return nil, nil, fmt.Errorf("read catalog: %w", err)
	}
	where := filepath.Join(prefix, name)
	if prefix == "" {
		where = name
	}
	var entries []entry
	var findings []Finding
	for _, f := range files {
		data, err := readLimited(fsys, f)
		if err != nil {
			return nil, nil, fmt.Errorf("read catalog: %w", err)
		}
		in, faults := parseEntries(filepath.Join(prefix, filepath.FromSlash(f)), data)
		entries = append(entries, in...)
		findings = append(findings, faults...)
	}
	if len(findings) == 0 || len(entries) > 0 {
		findings = append(findings, check(entries, where)...)
	}
	sortFindings(findings)
	return entries, findings, nil
}

// maxCatalogFile is some thousand entries.
const maxCatalogFile = 16 << 20

func readLimited(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCatalogFile {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d a catalog file may have: split it", name, info.Size(), maxCatalogFile)
	}
	return fs.ReadFile(fsys, name)
}

// catalogFiles lists the files that make up the catalog, sorted.
func catalogFiles(fsys fs.FS, name string) ([]string, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	found, err := fs.ReadDir(fsys, name)
	var files []string
	for _, f := range found {
		ext := path.Ext(f.Name())
		if !f.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(f.Name(), ".") {
			files = append(files, path.Join(name, f.Name()))
		}
	}
	return files, err
}

// parseEntries reads one file. What is not even an entry is a finding.
func parseEntries(file string, data []byte) ([]entry, []Finding) {
	fault := func(line int, remedy, message string) []Finding {
		return []Finding{{File: file, Line: line, Message: message, Remedy: remedy, Severity: SeverityError}}
	}
	root, err := readTree(withoutBOM(data))
	var unreadable *treeError
	if errors.As(err, &unreadable) {
		return nil, fault(unreadable.line, "", unreadable.message)
	}
	const shape = "write one entry, or a list of entries under the key directories"
	switch {
	case root.kind == kindNull:
		return nil, nil
	case root.kind != kindObject:
		return nil, fault(root.line, shape, "the file must hold keys and values, not "+string(root.kind))
	case root.member("directories") == nil:
		return []entry{parseEntry(file, root)}, nil
	}
	var entries []entry
	var findings []Finding
	for i, m := range root.members {
		switch {
		case m.key != "directories":
			findings = append(findings, fault(m.line, "beside directories there may be no other key", "unknown key "+oneLine(m.key))...)
		case slices.IndexFunc(root.members, func(o member) bool { return o.key == m.key }) != i:
			findings = append(findings, fault(m.line, "put all entries under one", "directories is written twice")...)
		case m.value.kind == kindNull:
		case m.value.kind != kindList:
			findings = append(findings, fault(m.line, "start each entry with a dash", "directories must be a list, not "+string(m.value.kind))...)
		default:
			for _, n := range m.value.items {
				entries = append(entries, parseEntry(file, n))
			}
		}
	}
	return entries, findings
}

func parseEntry(file string, n *node) entry {
	e := entry{Directory: new(Directory), file: file, line: n.line, binder: newBinder(), parsed: true}
	if n.kind == kindNull {
		e.binder.fault("", n.line, "remove the dash, or write an entry after it", "is empty")
	}
	e.binder.bind(n, reflect.ValueOf(e.Directory).Elem(), "")
	e.Source = fmt.Sprintf("%s:%d", file, n.line)
	return e
}

// build makes the catalog unless a finding forbids it.
func build(entries []entry, findings []Finding) (*Catalog, error) {
	findings = slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Severity != SeverityError })
	if len(findings) > 0 {
		return nil, &CatalogError{findings}
	}
	c := &Catalog{bySlug: make(map[string]*Directory, len(entries))}
	for _, e := range entries {
		e.Version = version(*e.Directory)
		c.directories = append(c.directories, e.Directory)
		c.bySlug[e.Slug] = e.Directory
	}
	slices.SortFunc(c.directories, func(a, b *Directory) int { return strings.Compare(a.Slug, b.Slug) })
	all := sha256.New()
	for _, d := range c.directories {
		fmt.Fprintf(all, "%s %s\n", d.Slug, d.Version)
	}
	c.version = shortHash(all.Sum(nil))
	return c, nil
}

// version hashes what an entry says, not how or where it is written.
func version(d Directory) string {
	d.Source, d.Version = "", ""
	text, err := json.Marshal(d)
	if err != nil {
		panic("directory: an entry is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return shortHash(sum[:])
}

func shortHash(sum []byte) string { return hex.EncodeToString(sum[:8]) }
