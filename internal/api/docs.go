package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed docs.html
var docsHTML string

var docsPage = template.Must(template.New("docs").Funcs(template.FuncMap{
	"kind": kindOf, "statuses": statuses, "prose": prose, "lower": strings.ToLower,
	"names":    func(m map[string]*schema) []string { return slices.Sorted(maps.Keys(m)) },
	"required": func(s *schema, name string) bool { return slices.Contains(s.Required, name) },
	"codes":    problemCodes,
	"common":   func() codes { return common },
	"status":   func(code string) int { return problems[code].status },
	"meaning":  func(code string) string { return problems[code].says },
}).Parse(docsHTML))

// prose is a text whose words in backquotes are code.
func prose(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) // escaped part by part
}

// page renders the document for people. It runs nothing and loads nothing, and the
// browser is told to keep it so.
func (d *document) page() *published {
	var b bytes.Buffer
	if err := docsPage.Execute(&b, d); err != nil {
		panic("api: docs.html: " + err.Error()) // a fault of this package
	}
	_, style, _ := strings.Cut(b.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return publish("text/html; charset=utf-8", policy, b.Bytes())
}

// Under lists the operations of a heading, in the order of the index.
func (d *document) Under(tag string) (all []*operation) {
	for _, op := range d.operations {
		if op.Tags[0] == tag {
			all = append(all, op)
		}
	}
	return all
}

// shownKind is the type of a value as people read it.
type shownKind struct {
	Text string // array of, one of, …
	Ref  string // name of the schema that it is or has; empty: none
	Null bool   // or null
}

func kindOf(s *schema) shownKind {
	switch {
	case s == nil:
		return shownKind{Text: "any JSON"}
	case s.AnyOf != nil:
		of := kindOf(s.AnyOf[0])
		of.Null = true
		return of
	case s.Ref != "":
		return shownKind{Ref: strings.TrimPrefix(s.Ref, refPrefix)}
	case s.Enum != nil:
		return shownKind{Text: strings.Join(s.Enum, " | ")}
	case s.Items != nil:
		of := kindOf(s.Items)
		return shownKind{Text: "array of " + of.Text, Ref: of.Ref}
	case s.Values != nil:
		of := kindOf(s.Values)
		return shownKind{Text: "object of " + of.Text, Ref: of.Ref}
	case s.Type == "":
		return shownKind{Text: "any JSON"}
	case s.Format != "":
		return shownKind{Text: s.Format}
	}
	return shownKind{Text: s.Type}
}

// shownAnswer is a line of the answers of an operation.
type shownAnswer struct {
	Status string
	*response
	Codes codes     // beside the common ones
	Body  *schema   // nil: none, or a problem
	Kind  string    // media type of what is no JSON, or another form of it; empty: JSON
	Told  []*schema // messages of a stream
}

// common are the codes that any route may answer with.
var common = codes{codeUnauthenticated, codeURLTooLong, codeRateLimited, codeInternal, codeUnavailable}

func isCommon(code string) bool { return slices.Contains(common, code) }

func statuses(op *operation) (all []shownAnswer) {
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		a := shownAnswer{Status: status, response: r, Codes: slices.DeleteFunc(slices.Clone(r.Codes), isCommon)}
		if len(r.Codes) > 0 && len(a.Codes) == 0 && len(r.Content) == 1 {
			continue
		}
		for kind, shape := range a.Content {
			switch kind {
			case "application/problem+json":
			case "application/json":
				a.Body = shape.Schema
			default:
				a.Kind = kind
				if shape.Messages != nil {
					a.Told = shape.Messages.AnyOf
				}
			}
		}
		all = append(all, a)
	}
	return all
}
