package admin

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// serveDocument serves the OpenAPI document and a page that lists the operations.
// Both are made once, from what was registered.
func (a *API) serveDocument() error {
	if err := a.describe(); err != nil {
		return err
	}
	asJSON, err := a.huma.OpenAPI().MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	asYAML, err := a.huma.OpenAPI().YAML()
	if err != nil {
		return fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var page bytes.Buffer
	if err := docsPage.Execute(&page, a.listing()); err != nil {
		return fmt.Errorf("write the page of operations: %w", err)
	}
	a.static("/openapi.json", "application/openapi+json", asJSON)
	a.static("/openapi.yaml", "application/openapi+yaml", asYAML)
	a.static("/docs", "text/html; charset=utf-8", page.Bytes())
	return nil
}

func (a *API) static(path, contentType string, body []byte) {
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-cache")
		if _, err := w.Write(body); err != nil {
			a.log.DebugContext(r.Context(), "answer not written", "path", path, "err", err)
		}
	})
}

// listed is an operation on the page.
type listed struct {
	Tag, Method, Path, Summary, Who string
}

// listing is every operation, by tag, path and method.
func (a *API) listing() []listed {
	var all []listed
	for path, item := range a.huma.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete} {
			if op != nil {
				all = append(all, listed{op.Tags[0], op.Method, path, op.Summary, whoMay(op)})
			}
		}
	}
	slices.SortFunc(all, func(x, y listed) int {
		return cmp.Or(cmp.Compare(x.Tag, y.Tag), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Method, y.Method))
	})
	return all
}

func whoMay(op *huma.Operation) string {
	names, _ := op.Extensions["x-required-permission"].([]string)
	who := strings.Join(names, " or ")
	switch {
	case len(op.Security) == 0:
		who = "anybody"
	case who == "":
		who = "everybody with an API key"
	}
	if op.Extensions["x-self"] == true {
		who += "; everybody about himself"
	}
	return who
}

var docsPage = template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rollcall admin API</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Rollcall admin API</h1>
<p>In full, with every field: <a href="/openapi.json">openapi.json</a>, <a href="/openapi.yaml">openapi.yaml</a>.
Send an API key as <code>Authorization: Bearer rcl_pat_...</code>.</p>
<table>
<thead><tr><th scope="col">Operation</th><th scope="col">What it does</th><th scope="col">Who may</th></tr></thead>
<tbody>
{{range .}}<tr><td><code>{{.Method}} {{.Path}}</code></td><td>{{.Summary}}</td><td>{{.Who}}</td></tr>
{{end}}</tbody>
</table>
</body>
</html>
`))
