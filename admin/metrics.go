package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests by operation and status.
type metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_admin_requests_total", Help: "Requests to the admin API, by operation and HTTP status.",
		}, []string{"operation", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_admin_request_seconds", Help: "How long requests to the admin API took, by operation.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"operation"}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.took)
	}
	return m
}

func (m *metrics) request(operation, status string, took time.Duration) {
	m.requests.WithLabelValues(operation, status).Inc()
	m.took.WithLabelValues(operation).Observe(took.Seconds())
}
