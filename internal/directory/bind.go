package directory

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// binder copies a tree into a struct by its yaml tags and notes every fault: keys
// that nobody knows, keys written twice, values of the wrong kind.
type binder struct {
	faults []bindFault
	lines  map[string]int // path, like form.steps[0].submit, to the line of its key
}

type bindFault struct {
	path    string
	line    int
	message string
	remedy  string
	hides   bool // the value at path was not read: checking it would only repeat the fault
}

func newBinder() *binder { return &binder{lines: make(map[string]int)} }

func (b *binder) fault(path string, line int, remedy, format string, args ...any) {
	b.faults = append(b.faults, bindFault{path, line, fmt.Sprintf(format, args...), remedy, true})
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// bind copies n into v, which must be settable. A null leaves v as it is.
func (b *binder) bind(n *node, v reflect.Value, path string) {
	if n.kind == kindNull {
		return
	}
	if reflect.PointerTo(v.Type()).Implements(textUnmarshaler) {
		b.bindText(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		b.bind(n, p.Elem(), path)
		v.Set(p)
	case reflect.Struct:
		b.bindStruct(n, v, path)
	case reflect.Slice:
		b.bindSlice(n, v, path)
	case reflect.Map:
		b.bindMap(n, v, path)
	case reflect.String:
		if b.want(n, path, "write text", kindText, kindNumber, kindBool) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if b.want(n, path, "write true or false, without quotes", kindBool) {
			v.SetBool(strings.EqualFold(n.text, "true"))
		}
	case reflect.Int:
		b.bindInt(n, v, path)
	default:
		panic("directory: no binding for " + v.Type().String())
	}
}

// want reports whether n is of one of the kinds, and notes the fault if not.
func (b *binder) want(n *node, path, remedy string, kinds ...kind) bool {
	if slices.Contains(kinds, n.kind) {
		return true
	}
	b.fault(path, n.line, remedy, "must be %s, not %s", kinds[0], n.kind)
	return false
}

func (b *binder) bindText(n *node, v reflect.Value, path string) {
	const remedy = "write a duration like 30s or 5m"
	if !b.want(n, path, remedy, kindText, kindNumber) {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		b.fault(path, n.line, remedy, "%s is not a duration", oneLine(n.text))
	}
}

func (b *binder) bindInt(n *node, v reflect.Value, path string) {
	const remedy = "write a whole number, without quotes"
	if !b.want(n, path, remedy, kindNumber) {
		return
	}
	i, err := strconv.Atoi(n.text)
	if err != nil {
		b.fault(path, n.line, remedy, "%s is not a whole number", oneLine(n.text))
		return
	}
	v.SetInt(int64(i))
}

func (b *binder) bindSlice(n *node, v reflect.Value, path string) {
	if !b.want(n, path, "write a list: each item on its own line, after a dash", kindList) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		b.lines[at] = item.line
		if item.kind == kindNull {
			b.fault(at, item.line, "remove the dash, or write something after it", "is empty")
			continue
		}
		b.bind(item, v.Index(i), at)
	}
}

func (b *binder) bindMap(n *node, v reflect.Value, path string) {
	if !b.want(n, path, "write keys and values", kindObject) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	b.members(n, path, func(m member, at string) {
		value := reflect.New(v.Type().Elem()).Elem()
		b.bind(m.value, value, at)
		v.SetMapIndex(reflect.ValueOf(m.key), value)
	})
}

func (b *binder) bindStruct(n *node, v reflect.Value, path string) {
	if !b.want(n, path, "write keys and values", kindObject) {
		return
	}
	fields := structKeys(v.Type())
	b.members(n, path, func(m member, at string) {
		i := slices.IndexFunc(fields, func(f structKey) bool { return f.key == m.key })
		if i < 0 {
			b.unknownKey(m, path, fields)
			return
		}
		b.bind(m.value, v.FieldByIndex(fields[i].index), at)
	})
}

// members calls visit for each key that is not written twice, and notes its line.
func (b *binder) members(n *node, path string, visit func(m member, at string)) {
	for _, m := range n.members {
		at := joinPath(path, m.key)
		if first, ok := b.lines[at]; ok {
			b.fault(at, m.line, "remove one of the two", "is written twice, first in line %d", first)
			continue
		}
		b.lines[at] = m.line
		visit(m, at)
	}
}

// fewKeys is how many keys a remedy lists.
const fewKeys = 10

func (b *binder) unknownKey(m member, path string, fields []structKey) {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	remedy := didYouMean(m.key, known)
	switch {
	case remedy == "" && len(known) <= fewKeys:
		remedy = "the keys here are " + strings.Join(known, ", ")
	case remedy == "":
		remedy = "remove it, docs/directories.md lists the keys"
	}
	b.faults = append(b.faults, bindFault{path: path, line: m.line, message: "unknown key " + oneLine(m.key), remedy: remedy})
}

// hidden reports whether the value at path was not read, or one it lies in.
func (b *binder) hidden(path string) bool {
	return slices.ContainsFunc(b.faults, func(f bindFault) bool {
		rest, within := strings.CutPrefix(path, f.path)
		return f.hides && within && (f.path == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// structKey is a field that a file may name.
type structKey struct {
	key   string
	index []int
}

// structKeys lists the yaml keys of a struct, those of inlined structs with it.
func structKeys(t reflect.Type) []structKey {
	var keys []structKey
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case tag == "-":
		case options == "inline":
			for _, k := range structKeys(f.Type) {
				keys = append(keys, structKey{k.key, append(slices.Clone(f.Index), k.index...)})
			}
		default:
			keys = append(keys, structKey{tag, f.Index})
		}
	}
	return keys
}
