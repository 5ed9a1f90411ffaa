package gateway

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
)

// metrics are what Prometheus reads. No label holds an id, a client's invention or anything
// of a patient: each is from a closed list or from the configuration, but for the names of
// members that an EHR sends and a dataset does not know.
type metrics struct {
	registry  *prometheus.Registry
	inflight  prometheus.Gauge
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	resources *prometheus.CounterVec
	drift     *prometheus.CounterVec
	reloads   *prometheus.CounterVec
	bundles   *prometheus.CounterVec
	undecided prometheus.Counter

	emergencies *prometheus.CounterVec

	mu     sync.Mutex
	policy map[string]bool    // the policies' own reason codes that are labels
	paths  map[[2]string]bool // of a dataset, which no row names, that are labels
}

// policyLabels is how many of a policy's own reason codes become labels: a rule that makes
// codes of what it is told must not fill the memory of whoever reads the metrics.
const policyLabels = 64

// driftLabels is how many paths that no row names become labels: their names are what an EHR sends.
const driftLabels = 512

func droppedConnections(b *bounded) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "halfdoor_connections_dropped_total", Help: "Quiet connections of the FHIR listener that were closed to make room for others."}, func() float64 {
		return float64(b.dropped.Load())
	})
}

func newMetrics(g *Gateway) *metrics {
	m := &metrics{
		policy:    map[string]bool{},
		paths:     map[[2]string]bool{},
		registry:  prometheus.NewRegistry(),
		inflight:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "halfdoor_calls_in_flight", Help: "Calls being served."}),
		calls:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_calls_total", Help: "Calls by EHR, interaction, status and outcome; the outcome of a served call is ok. An entry of a batch or transaction counts like a call, beside the whole."}, []string{"ehr", "interaction", "status", "outcome"}),
		seconds:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "halfdoor_call_seconds", Help: "Time from a request's header to its end.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"ehr", "interaction"}),
		bytes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_filter_bytes_total", Help: "Bytes that the filter read from EHRs (in) and released (out)."}, []string{"direction"}),
		resources: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_filter_resources_total", Help: "Resources by type and what became of them: released, or the cause for which they were dropped."}, []string{"type", "outcome"}),
		drift:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_drift_total", Help: "By dataset and path: members that an EHR sent and no row names (unknown, a sample), and resources without an element that the dataset requires (missing)."}, []string{"dataset", "kind", "path"}),
		reloads:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_reloads_total", Help: "Reloads of the configuration, by whether they went live or were refused."}, []string{"result"}),
		undecided: prometheus.NewCounter(prometheus.CounterOpts{Name: "halfdoor_decision_log_dropped_total", Help: "Decisions that OPA's decision log did not take; the access log has their calls all the same."}),
		bundles:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_policy_bundles_total", Help: "Policy bundles of the bundle server, by whether they went live, and failures to get one or to let it go live; a failure that repeats counts once."}, []string{"result"}),

		emergencies: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "halfdoor_break_glass_total", Help: "Calls by emergency access: those that opened it, that used what was open (used), that came after its end (expired) or could not be counted (refused)."}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.emergencies, m.inflight, m.calls, m.seconds, m.bytes, m.resources, m.drift, m.reloads, m.bundles, m.undecided,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_healthy", Help: "1 while the access log can be written; at 0 every call is refused."}, func() float64 {
			return flag(g.log.Err() == nil)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_free_bytes", Help: "Bytes that can still be written to the access log's disk, beside its reserve."}, func() float64 {
			return float64(g.log.Space().Free)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_space_low", Help: "1 while less than access_log.low_space is free."}, func() float64 {
			return flag(g.log.Space().Low)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_reserve_spent", Help: "1 while the access log's reserve is in use, or could not be had: refusals before authentication are only summed then."}, func() float64 {
			return flag(g.log.Space().Spent)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_upkeep_healthy", Help: "0 while closed segments of the access log cannot be compressed or removed."}, func() float64 {
			_, err := g.neglect()
			return flag(err == nil)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_access_log_held_records", Help: "Records that are older than the retention and wait for a sink or a witness that is behind."}, func() float64 {
			if held, _ := g.neglect(); held != nil {
				return float64(held.Records)
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_configuration_current", Help: "1 while the newest configuration is the one that serves; 0 after a refused reload."}, func() float64 {
			return flag(g.reloadFail.Load() == nil)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_policy_current", Help: "1 while the newest policy bundle is the one that serves; 0 after one could not be had or was refused, and while none has come yet."}, func() float64 {
			return flag(g.reloadFail.Load() == nil && g.bundleFail.Load() == nil && !g.current.Load().waiting)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_switched_off", Help: "Clients, ticket categories, EHRs, resource types, interactions and workflows that are switched off, by an administrator or the policy."}, func() float64 {
			return float64(len(g.off()))
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_quota_patients", Help: "Pairs of an actor and a patient told of within the hour, as counted towards quotas."}, func() float64 {
			return float64(g.usage().Patients)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "halfdoor_quota_patients_most", Help: "Patients that one actor was told of within the hour, of the actor with most."}, func() float64 {
			return float64(g.usage().Most)
		}),
		decisionCounter("cache", func() uint64 { return g.current.Load().policies.Counts().Remembered }),
		decisionCounter("rules", func() uint64 { return g.current.Load().policies.Counts().Evaluated }),
		ehrCollector{g},
		shadowCollector{g},
		sinkCollector{g},
		witnessCollector{g},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// decisionCounter counts the policy's decisions that were come by in one way.
func decisionCounter(from string, n func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name:        "halfdoor_policy_decisions_total",
		Help:        "Decisions of the policy, by whether the rules were run for them or one was remembered that was about the same. A policy that goes live begins at 0.",
		ConstLabels: prometheus.Labels{"from": from},
	}, func() float64 { return float64(n()) })
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) observe(c *call) {
	code := m.outcome(c.code)
	interaction := c.rec.Request.Interaction
	m.calls.WithLabelValues(c.rec.EHR, interaction, strconv.Itoa(c.rec.Status), code).Inc()
	m.seconds.WithLabelValues(c.rec.EHR, interaction).Observe(time.Since(c.begun).Seconds())
}

// outcome is the label of a code.
func (m *metrics) outcome(code string) string {
	if code == "" {
		return "ok"
	}
	if _, own := answers[code]; own || strings.HasPrefix(code, "token-") {
		return code
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.policy[code] {
		if len(m.policy) == policyLabels {
			return "policy-other"
		}
		m.policy[code] = true
	}
	return code
}

func (m *metrics) filtered(dataset string, r transforms.Report) {
	m.bytes.WithLabelValues("in").Add(float64(r.BytesIn))
	m.bytes.WithLabelValues("out").Add(float64(r.BytesOut))
	for kind, n := range r.Released {
		m.resources.WithLabelValues(kind, "released").Add(float64(n))
	}
	for cause, kinds := range r.Dropped {
		for kind, n := range kinds {
			if !fhir.Known(kind) {
				kind = "other" // of the EHR's invention
			}
			m.resources.WithLabelValues(kind, cause).Add(float64(n))
		}
	}
	for path, n := range r.Unknown {
		m.drift.WithLabelValues(dataset, "unknown", m.path(dataset, path)).Add(float64(n))
	}
	for path, n := range r.Missing {
		m.drift.WithLabelValues(dataset, "missing", path).Add(float64(n))
	}
}

// path is the label of a path that no row names.
func (m *metrics) path(dataset, path string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{dataset, path}
	if !m.paths[key] {
		if len(m.paths) == driftLabels {
			return "?"
		}
		m.paths[key] = true
	}
	return path
}
