package app

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// health knows whether the daemon serves, and since when the store does not answer.
type health struct {
	store    store.Store
	now      func() time.Time
	bound    time.Duration
	stopping atomic.Bool
	seen     atomic.Int64 // when the store last answered, in Unix nanoseconds
	status   atomic.Pointer[store.Status]
	leading  func() bool
	view     *state.View
}

// probeEvery is how often the store is asked whether it is there.
const probeEvery = 5 * time.Second

// Run asks the store for its state until ctx ends.
func (h *health) Run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		h.probe(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *health) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	s, ok := h.store.(store.Statuser)
	if !ok {
		h.seen.Store(h.now().UnixNano())
		return
	}
	if st, err := s.Status(ctx); err == nil {
		h.status.Store(&st)
		h.seen.Store(h.now().UnixNano())
	}
}

// staleSince returns since when answers come from memory alone; ok while they do not.
func (h *health) staleSince() (since time.Time, ok bool) {
	since = time.Unix(0, h.seen.Load())
	return since, h.now().Sub(since) < 2*probeEvery
}

// age is what the admin API asks: since when its answers are from memory alone, and
// whether that is longer than decisions may rest on it.
func (h *health) age() (staleSince time.Time, tooOld bool) {
	since, fresh := h.staleSince()
	if fresh {
		return time.Time{}, false
	}
	return since, h.now().Sub(since) >= h.bound
}

// check is one named condition of readiness.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitzero"`
}

func (h *health) checks() []check {
	since, fresh := h.staleSince()
	c := check{Name: "store", OK: h.now().Sub(since) < h.bound}
	if !fresh {
		c.Detail = fmt.Sprintf("does not answer; answering from memory as of %s", since.UTC().Format(time.RFC3339))
	}
	role := check{Name: "leader", OK: true, Detail: "another replica runs the sources"}
	if h.leading() {
		role.Detail = "this replica runs the sources"
	}
	return []check{
		{Name: "serving", OK: !h.stopping.Load()},
		c, role,
		{Name: "view", OK: true, Detail: fmt.Sprintf("revision %d", h.view.Now().Rev())},
	}
}

// handler serves /livez, /readyz and /metrics.
func (h *health) handler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "ok") // a caller that went away
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		checks, ready := h.checks(), true
		for _, c := range checks {
			ready = ready && c.OK
		}
		w.Header().Set("Content-Type", "application/json")
		if !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.MarshalWrite(w, map[string]any{"ready": ready, "checks": checks}) // as above
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

// rollMetrics describes the roll and the store to Prometheus, looked at when asked.
type rollMetrics struct {
	health *health
	view   *state.View

	users, linked, groups, members, size, used, quota, free, rev, stale, grants *prometheus.Desc
}

func newRollMetrics(h *health, v *state.View) *rollMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rollcall_"+name, help, labels, nil)
	}
	return &rollMetrics{
		health: h, view: v,
		users:   desc("users", "Users, by the source that owns them and their state.", "source", "state"),
		linked:  desc("linked_records", "Records of a source that own no user: linked to one, or nobody's.", "source", "state"),
		groups:  desc("groups", "Groups, by the source that owns them and their state.", "source", "state"),
		members: desc("memberships", "Memberships that a source gave.", "source"),
		grants:  desc("grants", "Grants, effective or not."),
		size:    desc("store_size_bytes", "Size of the store on disk."),
		used:    desc("store_used_bytes", "Bytes of the store that hold data."),
		quota:   desc("store_quota_bytes", "Size at which the store takes no more."),
		free:    desc("store_disk_free_bytes", "Bytes free on the disk of an embedded store."),
		rev:     desc("view_revision", "Revision of the store that answers are given from."),
		stale:   desc("store_unreachable", "1 while the store does not answer."),
	}
}

// Describe implements prometheus.Collector.
func (m *rollMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.users, m.linked, m.groups, m.members, m.grants, m.size, m.used, m.quota, m.free, m.rev, m.stale} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *rollMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	snap := m.view.Now()
	for id, c := range snap.Counts() {
		gauge(m.users, float64(c.Users-c.UsersInactive), string(id), "active")
		gauge(m.users, float64(c.UsersInactive), string(id), "inactive")
		gauge(m.users, float64(c.UsersMissing), string(id), "missing")
		gauge(m.linked, float64(c.Linked), string(id), "linked")
		gauge(m.linked, float64(c.Apart), string(id), "nobodys")
		gauge(m.groups, float64(c.Groups), string(id), "present")
		gauge(m.groups, float64(c.GroupsMissing), string(id), "missing")
		gauge(m.members, float64(c.Members), string(id))
	}
	gauge(m.grants, float64(snap.Book().Len()))
	gauge(m.rev, float64(snap.Rev()))
	stale := 0.0
	if _, fresh := m.health.staleSince(); !fresh {
		stale = 1
	}
	gauge(m.stale, stale)
	if st := m.health.status.Load(); st != nil {
		gauge(m.size, float64(st.Size))
		gauge(m.used, float64(st.InUse))
		gauge(m.quota, float64(st.Quota))
		if st.FreeDisk >= 0 {
			gauge(m.free, float64(st.FreeDisk))
		}
	}
}
