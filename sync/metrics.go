package sync

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// metrics are what a Runner counts. What is stored is read when it is asked for, so
// that every replica shows it; what happens is counted where it happens.
type metrics struct {
	runner    *Runner
	stages    *prometheus.HistogramVec
	runs      *prometheus.CounterVec
	missed    *prometheus.CounterVec
	slots     *prometheus.CounterVec
	entries   *prometheus.GaugeVec
	conflicts *prometheus.GaugeVec

	proven, full, held, raises, following, leader *prometheus.Desc
	used, out, failures                           *prometheus.Desc // of servers
}

func newMetrics(reg prometheus.Registerer, r *Runner) (*metrics, error) {
	bySource := []string{"source"}
	m := &metrics{
		runner: r,
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_sync_stage_duration_seconds", Help: "How long the stages of sync runs took.",
			Buckets: []float64{0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800},
		}, []string{"source", "stage"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_sync_runs_total", Help: "Sync runs that ended here, by how.",
		}, []string{"source", "outcome"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_sync_missed_total", Help: "Changes that reads of changes had missed and a comparison of everything found.",
		}, bySource),
		slots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_sync_slots_skipped_total", Help: "Scheduled instants that went by because a run was still going on.",
		}, bySource),
		entries: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rollcall_sync_entries_skipped", Help: "Entries of the last read that were left as they were.",
		}, bySource),
		conflicts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rollcall_sync_conflicts", Help: "Conflicts of the last read that a person has to settle.",
		}, bySource),
		proven: prometheus.NewDesc("rollcall_sync_last_proven_timestamp_seconds",
			"When a read that was proven complete was last applied.", bySource, nil),
		full: prometheus.NewDesc("rollcall_sync_last_comparison_timestamp_seconds",
			"When a read that compared everything was last applied.", bySource, nil),
		following: prometheus.NewDesc("rollcall_sync_following", "1 while the directory says when something changes.", bySource, nil),
		held:      prometheus.NewDesc("rollcall_sync_plan_held", "1 while a plan waits for approval.", bySource, nil),
		raises: prometheus.NewDesc("rollcall_sync_plan_raises",
			"How many people the plan that waits would give a permission that they do not have.", bySource, nil),
		used: prometheus.NewDesc("rollcall_sync_server_used",
			"1 for the server that the last read was from.", []string{"source", "server"}, nil),
		out: prometheus.NewDesc("rollcall_sync_server_left_out",
			"1 while a server is not tried because it has failed.", []string{"source", "server"}, nil),
		failures: prometheus.NewDesc("rollcall_sync_server_failures",
			"How often a server has failed since it last answered.", []string{"source", "server"}, nil),
		leader: prometheus.NewDesc("rollcall_sync_leader", "1 on the replica that runs the sources.", nil, nil),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.stages, m.runs, m.missed, m.slots, m.entries, m.conflicts, m} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.proven
	to <- m.full
	to <- m.following
	to <- m.held
	to <- m.raises
	to <- m.leader
	to <- m.used
	to <- m.out
	to <- m.failures
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	r := m.runner
	snap := r.db.View().Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	gauge(m.leader, truth(r.term != nil))
	for id, l := range r.lanes {
		if fleet, ok := l.spec.Source.(Fleet); ok {
			for _, s := range fleet.Servers() {
				gauge(m.used, truth(s.Used), string(id), s.Server)
				gauge(m.out, truth(s.LeftOut), string(id), s.Server)
				gauge(m.failures, float64(s.Failures), string(id), s.Server)
			}
		}
		st := snap.Source(id)
		gauge(m.held, truth(st.Held != nil), string(id))
		raises := 0
		if st.Held != nil {
			raises = st.Held.Raises
		}
		gauge(m.raises, float64(raises), string(id))
		gauge(m.following, truth(r.lanes[id].follow.ready), string(id))
		if !st.LastFull.IsZero() {
			gauge(m.full, float64(st.LastFull.UnixMilli())/1000, string(id))
		}
		if !st.LastProven.IsZero() {
			gauge(m.proven, float64(st.LastProven.UnixMilli())/1000, string(id))
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) skip(id identity.SourceID, n int) {
	m.slots.WithLabelValues(string(id)).Add(float64(n))
}

// planned notes what a read of a run or a plan left to a person.
func (m *metrics) planned(id identity.SourceID, p *plan.Plan) {
	if p.Reach.Everything() {
		m.entries.WithLabelValues(string(id)).Set(float64(len(p.Skipped)))
	}
	m.conflicts.WithLabelValues(string(id)).Set(float64(len(p.Conflicts)))
}

func (m *metrics) ended(run state.Run) {
	m.runs.WithLabelValues(string(run.Source), string(run.State)).Inc()
	m.missed.WithLabelValues(string(run.Source)).Add(float64(run.Missed))
	for _, s := range run.Stages {
		took := time.Duration(s.Ms * float64(time.Millisecond))
		m.stages.WithLabelValues(string(run.Source), s.Name).Observe(took.Seconds())
	}
}
