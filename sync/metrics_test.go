package sync_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

// gathered returns the values of all metrics but histograms, as "name{labels} value".
func gathered(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetHistogram() != nil {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			lines = append(lines, fmt.Sprintf("%s{%s} %v", strings.TrimPrefix(f.GetName(), "rollcall_sync_"), strings.Join(labels, ","), v))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		h := build(t, mem.New())
		var err error
		h.Runner, err = sync.New(sync.Options{DB: h.db, Leader: h.store, Sources: []sync.SourceSpec{h.spec()}, Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		h.start()
		defer h.stop()
		h.source.sees(people(proven, crowd(0, 40)...))
		h.wantRun(state.RunSucceeded)
		done := float64(time.Now().Unix())
		sleep(time.Hour)
		seen := people(proven, crowd(0, 20)...)
		seen.Users[3].Record.Name = "" // it cannot be used
		h.source.sees(seen)
		h.wantRun(state.RunHeld)
		want := []string{
			"conflicts{source=corp} 0", "entries_skipped{source=corp} 1", "following{source=corp} 0",
			fmt.Sprintf("last_comparison_timestamp_seconds{source=corp} %v", done),
			fmt.Sprintf("last_proven_timestamp_seconds{source=corp} %v", done), "leader{} 1", "missed_total{source=corp} 0", "plan_held{source=corp} 1", "plan_raises{source=corp} 0",
			"runs_total{outcome=held,source=corp} 1", "runs_total{outcome=succeeded,source=corp} 1",
		}
		if diff := cmp.Diff(want, gathered(t, reg)); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}

// fleet is a source with two servers.
type fleet struct{ *script }

func (fleet) Servers() []sync.ServerState {
	return []sync.ServerState{{Server: "a", LeftOut: true, Failures: 3}, {Server: "b", Used: true}}
}

func TestMetricsOfServers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		h := build(t, mem.New())
		spec := h.spec(func(s *sync.SourceSpec) { s.Source = fleet{h.source} })
		var err error
		if h.Runner, err = sync.New(sync.Options{DB: h.db, Leader: h.store, Sources: []sync.SourceSpec{spec}, Metrics: reg}); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(gathered(t, reg), func(s string) bool { return !strings.HasPrefix(s, "server_") })
		want := []string{
			"server_failures{server=a,source=corp} 3", "server_failures{server=b,source=corp} 0",
			"server_left_out{server=a,source=corp} 1", "server_left_out{server=b,source=corp} 0",
			"server_used{server=a,source=corp} 0", "server_used{server=b,source=corp} 1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
	})
}
