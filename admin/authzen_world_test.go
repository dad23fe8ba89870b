package admin_test

import (
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// do makes a request that is not as call makes them.
func (w *world) do(req *http.Request) reply {
	w.t.Helper()
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// decodeAs reads an answer that must be a 200.
func decodeAs[T any](rt *rapid.T, r reply) (v T) {
	if r.status != http.StatusOK {
		rt.Fatalf("status %d: %s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		rt.Fatalf("decode %s: %v", r.body, err)
	}
	return v
}
