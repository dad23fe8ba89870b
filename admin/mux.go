package admin

import (
	"net/http"
	"slices"
)

// mux is an http.ServeMux that can tell what it serves.
type mux struct {
	*http.ServeMux
	patterns []string
}

func newMux() *mux { return &mux{ServeMux: http.NewServeMux()} }

// HandleFunc registers a handler.
func (m *mux) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, handle)
}

// Patterns returns what the API serves, as net/http writes it, in order: "GET /v1/me".
func (a *API) Patterns() []string { return slices.Sorted(slices.Values(a.mux.patterns)) }
