package admin_test

import (
	"io"
	"net/http"
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
