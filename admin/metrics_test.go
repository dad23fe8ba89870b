package admin_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestRequestsAreCounted(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("nobody")
	w.call(http.MethodGet, "/v1/me", key, nil)
	w.call(http.MethodGet, "/v1/me", key, nil)
	w.call(http.MethodGet, "/v1/users", key, nil)
	w.call(http.MethodGet, "/v1/users/who", "", nil)
	if d := cmp.Diff(map[string]float64{"getMe 200": 2, "listUsers 403": 1, "getUser 401": 1}, counted(t, w.metrics)); d != "" {
		t.Errorf("requests counted (-want +got):\n%s", d)
	}
}

func counted(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "rollcall_admin_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return got
}
