package gateway

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// What operators are told of the EHRs: at each change of a breaker in the log, and at any time by
// readiness, status and metrics.

// breakerChanged logs that an EHR is left alone, tried again, or well.
func (g *Gateway) breakerChanged(ehr, address string, from, to upstream.State) {
	e := g.logger.Warn()
	if to == upstream.Closed {
		e = g.logger.Info()
	}
	e.Str("ehr", ehr).Str("address", address).Str("from", string(from)).Str("to", string(to)).Msg("breaker")
}

// worse is what is not as it should be: EHRs that are left alone, what of configuration and policies is not the newest, and a disk that fills. The gateway is ready all the same: another EHR's calls go on, every
// replica sees the same EHR, and without one in front its clients would be told nothing of why.
func (g *Gateway) worse() []string {
	var all []string
	for _, r := range g.current.Load().routes {
		if r.ehr.Health().Failing() {
			all = append(all, "degraded: EHR "+r.name+" is left alone, since it failed")
		}
	}
	for _, s := range g.outlets.statuses() {
		if s.Failing {
			all = append(all, fmt.Sprintf("degraded: the sink %s fails, and is %d records behind", s.Name, s.Behind))
		}
	}
	for _, s := range g.watchers.statuses() {
		switch {
		case s.Contradicts:
			all = append(all, "degraded: the witness "+s.Name+" has cosigned what is not in the access log: it may have been put back, or changed")
		case s.Failing:
			all = append(all, fmt.Sprintf("degraded: the witness %s does not cosign, and is %d records behind", s.Name, s.Behind))
		}
	}
	if g.reloadFail.Load() != nil {
		all = append(all, "degraded: the newest configuration was refused, the one before serves")
	}
	if g.bundleFail.Load() != nil {
		all = append(all, "degraded: no newer policy bundle could be had, or it was refused; the one before serves")
	}
	return append(all, g.crowded()...)
}

// ehrStatus is an EHR as administrators see it.
type ehrStatus struct {
	Name      string          `json:"name"`
	Requests  int64           `json:"requests"`
	Waiting   int64           `json:"waiting"`
	Addresses []addressStatus `json:"addresses"`
}

type addressStatus struct {
	URL     string         `json:"url"`
	Breaker upstream.State `json:"breaker"`
	Rest    int            `json:"rest_seconds,omitempty"`
	InUse   bool           `json:"in_use"`
}

// health is of each EHR.
func (g *generation) health() []ehrStatus {
	all := make([]ehrStatus, 0, len(g.routes))
	for _, r := range g.routes {
		h := r.ehr.Health()
		s := ehrStatus{Name: r.name, Requests: h.Requests, Waiting: h.Waiting}
		for _, a := range h.Addresses {
			s.Addresses = append(s.Addresses, addressStatus{URL: a.URL, Breaker: a.Breaker, Rest: int(math.Ceil(a.Rest.Seconds())), InUse: a.InUse})
		}
		all = append(all, s)
	}
	return all
}

var (
	breakerMetric  = prometheus.NewDesc("halfdoor_ehr_breaker_state", "What an EHR's address gets of the calls: 0 all (closed), 1 a few on trial (half-open), 2 none (open).", []string{"ehr", "address"}, nil)
	requestsMetric = prometheus.NewDesc("halfdoor_ehr_requests", "Requests to an EHR that are under way, or wait for their turn.", []string{"ehr", "state"}, nil)
)

// ehrCollector reads the EHRs of the generation that serves.
type ehrCollector struct{ g *Gateway }

// Describe names the metrics.
func (ehrCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- breakerMetric
	ch <- requestsMetric
}

// Collect reads them.
func (c ehrCollector) Collect(ch chan<- prometheus.Metric) {
	gen := c.g.current.Load()
	if gen == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	level := map[upstream.State]float64{upstream.Closed: 0, upstream.HalfOpen: 1, upstream.Opened: 2}
	for _, r := range gen.routes {
		h := r.ehr.Health()
		gauge(requestsMetric, float64(h.Requests), r.name, "under way")
		gauge(requestsMetric, float64(h.Waiting), r.name, "waiting")
		for _, a := range h.Addresses {
			gauge(breakerMetric, level[a.Breaker], r.name, a.URL)
		}
	}
}
