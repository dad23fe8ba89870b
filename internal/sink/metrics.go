package sink

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	folded   prometheus.Counter
	taken    *prometheus.CounterVec
	failures *prometheus.CounterVec
	revision *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		folded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rollcall_audit_folded_total", Help: "Audit entries that were folded into segments.",
		}),
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_audit_sink_entries_total", Help: "Audit entries that a sink has taken.",
		}, []string{"sink"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_audit_sink_failures_total", Help: "Attempts at which a sink did not take an audit entry.",
		}, []string{"sink"}),
		revision: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rollcall_audit_sink_revision", Help: "The revision up to which a sink has the audit log.",
		}, []string{"sink"}),
	}
	if r != nil {
		r.MustRegister(m.folded, m.taken, m.failures, m.revision)
	}
	return m
}
