package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// node is a value as it stands in a YAML or JSON file, with its line. Both
// formats become the same tree, so that one binder finds every fault at once,
// where a decoder would stop at the first.
type node struct {
	kind    kind
	text    string // of a scalar, as written
	line    int
	items   []*node  // of a list
	members []member // of an object, in the order written
}

type member struct {
	key   string
	line  int
	value *node
}

type kind string

const (
	kindNull   kind = "nothing"
	kindText   kind = "text"
	kindNumber kind = "a number"
	kindBool   kind = "true or false"
	kindList   kind = "a list"
	kindObject kind = "keys and values"
)

// maxDepth is far deeper than any documented file and far from a full stack.
const maxDepth = 32

// treeError is a file that cannot be read as YAML or JSON.
type treeError struct {
	line    int
	message string
}

func (e *treeError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.message) }

// member returns the value at key, nil if there is none.
func (n *node) member(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// withoutBOM is what a file says; editors on Windows begin it with a byte order mark.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }

// readTree reads YAML or JSON. The root of empty input is kindNull. The error is
// a *treeError.
func readTree(data []byte) (*node, error) {
	if json.Valid(data) {
		return readJSON(data)
	}
	return readYAML(data)
}

func readYAML(data []byte) (n *node, err error) {
	// The parser's lexer has panicked on malformed input before; a file that a
	// person hands in must not end the process.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, &treeError{1, fmt.Sprintf("not readable as YAML: %v", r)}
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlError(err)
	}
	root := &node{kind: kindNull, line: 1}
	seen := false
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if seen {
			return nil, &treeError{yamlLine(doc.Body), "a second document in the file: write one document, without ---"}
		}
		seen = true
		if root, err = fromYAML(doc.Body, 0); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func yamlError(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil || y.GetToken().Position == nil {
		return &treeError{1, "not readable as YAML: " + err.Error()}
	}
	return &treeError{y.GetToken().Position.Line, "not readable as YAML: " + y.GetMessage()}
}

func yamlLine(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func fromYAML(n ast.Node, depth int) (*node, error) {
	if n == nil {
		return &node{kind: kindNull, line: 1}, nil
	}
	line := yamlLine(n)
	if depth > maxDepth {
		return nil, &treeError{line, "nested too deeply"}
	}
	scalar := func(k kind, text string) (*node, error) { return &node{kind: k, text: text, line: line}, nil }
	switch n := n.(type) {
	case *ast.NullNode:
		return scalar(kindNull, "")
	case *ast.StringNode:
		return scalar(kindText, n.Value)
	case *ast.LiteralNode:
		return scalar(kindText, n.Value.Value)
	case *ast.BoolNode:
		return scalar(kindBool, n.Token.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return scalar(kindNumber, n.GetToken().Value)
	case *ast.SequenceNode:
		return fromYAMLList(n, line, depth)
	case *ast.MappingNode:
		return fromYAMLObject(n.Values, line, depth)
	case *ast.MappingValueNode:
		return fromYAMLObject([]*ast.MappingValueNode{n}, line, depth)
	}
	return nil, &treeError{line, "anchors, aliases, merge keys and tags are not read: write the value out"}
}

func fromYAMLList(n *ast.SequenceNode, line, depth int) (*node, error) {
	list := &node{kind: kindList, line: line}
	for _, v := range n.Values {
		item, err := fromYAML(v, depth+1)
		if err != nil {
			return nil, err
		}
		list.items = append(list.items, item)
	}
	return list, nil
}

func fromYAMLObject(values []*ast.MappingValueNode, line, depth int) (*node, error) {
	object := &node{kind: kindObject, line: line}
	for i, v := range values {
		key, err := fromYAML(v.Key, depth+1)
		if err != nil {
			return nil, err
		}
		value, err := fromYAML(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if i == 0 { // the mapping's own token is its first colon, which may stand elsewhere
			object.line = key.line
		}
		object.members = append(object.members, member{key.text, key.line, value})
	}
	return object, nil
}

// readJSON builds the tree of valid JSON.
func readJSON(data []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	r := &jsonReader{d: d, data: data}
	n, err := r.value(0)
	if err != nil && !errors.As(err, new(*treeError)) {
		err = &treeError{r.lineNow(), "not readable as JSON: " + err.Error()}
	}
	return n, err
}

// jsonReader counts lines up to a position that only grows.
type jsonReader struct {
	d     *json.Decoder
	data  []byte
	at    int
	lines int
}

func (r *jsonReader) lineNow() int {
	to := int(r.d.InputOffset())
	r.lines += bytes.Count(r.data[r.at:to], []byte("\n"))
	r.at = to
	return r.lines + 1
}

func (r *jsonReader) value(depth int) (*node, error) {
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: r.lineNow()}
	if depth > maxDepth {
		return nil, &treeError{n.line, "nested too deeply"}
	}
	switch t := t.(type) {
	case nil:
		n.kind = kindNull
	case string:
		n.kind, n.text = kindText, t
	case bool:
		n.kind, n.text = kindBool, fmt.Sprint(t)
	case json.Number:
		n.kind, n.text = kindNumber, t.String()
	case json.Delim:
		return n, r.fill(n, t, depth)
	}
	return n, nil
}

// fill reads the members or items of n up to and with the closing delimiter.
func (r *jsonReader) fill(n *node, open json.Delim, depth int) error {
	n.kind = kindList
	if open == '{' {
		n.kind = kindObject
	}
	for r.d.More() {
		var m member
		if n.kind == kindObject {
			key, err := r.d.Token()
			if err != nil {
				return err
			}
			m.key, m.line = fmt.Sprint(key), r.lineNow()
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if n.kind == kindObject {
			m.value = value
			n.members = append(n.members, m)
		} else {
			n.items = append(n.items, value)
		}
	}
	_, err := r.d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// oneLine makes a quotation of foreign text safe for a message of one line.
func oneLine(s string) string {
	const limit = 80
	s = strings.ToValidUTF8(s, "?")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
