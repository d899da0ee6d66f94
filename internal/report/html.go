package report

import (
	"html/template"
	"io"
)

// page is one file that needs nothing else: it can be sent, stored and printed.
var page = template.Must(template.New("report").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DirectoryBolt: {{.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ddd; }
th { font-weight: 600; width: 15rem; } td.target { width: 9rem; color: #555; }
.missed td { color: #a40000; } .missed td.target::after { content: " · missed"; }
footer { margin-top: 2rem; color: #555; font-size: .875rem; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{range .Sections}}<h2>{{.Title}}</h2>
<table>
{{range .Lines}}<tr{{if .Missed}} class="missed"{{end}}><th scope="row">{{.Name}}</th><td>{{.Value}}</td><td class="target">{{.Target}}</td></tr>
{{end}}</table>
{{end}}<footer>Made at {{.At}} from recorded facts. What was not recorded is not known, and in no score.</footer>
</body>
</html>
`))

// WriteHTML writes the report as a page.
func (r *Report) WriteHTML(w io.Writer) error {
	return page.Execute(w, struct {
		Title, At string
		Sections  []section
	}{r.title(), stamp(r.At), r.sections()})
}
