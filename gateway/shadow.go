package gateway

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/policies"
)

// shadow is a candidate for the next policy beside the one that decides (policies.Shadow). It lives as long as the
// configuration that names it; a candidate that is bad is told of, and nothing else comes of it.
type shadow struct {
	bundle  string
	asked   *policies.Shadow // nil: the candidate is bad
	problem error
}

// shadowSamples are how many differences the operator's log has of each minute.
const shadowSamples = 10

// cast begins to compare with the candidate that a configuration names.
func (g *Gateway) cast(cfg *configs.Config) *shadow {
	if cfg.Policy.Shadow == "" {
		return nil
	}
	s := &shadow{bundle: cfg.Policy.Shadow}
	tree, err := bundleOf(&configs.Policy{Bundle: s.bundle})
	if err == nil {
		var candidate *policies.Engine
		if candidate, err = CheckBundle(context.Background(), tree); err == nil {
			s.asked, err = policies.NewShadow(policies.ShadowOptions{Candidate: candidate, Differs: g.differs()})
		}
	}
	if s.problem = err; err != nil {
		g.logger.Error().Err(err).Msg("policy.shadow: the candidate is not compared; the policies in force go on")
	}
	return s
}

// differs writes a sample of the differences into the operator's log: names and codes, nothing of a patient.
func (g *Gateway) differs() func(policies.Difference) {
	sampled := g.logger.Sample(&zerolog.BurstSampler{Burst: shadowSamples, Period: time.Minute})
	return func(d policies.Difference) {
		sampled.Info().Str("kind", string(d.Kind)).Str("client", d.Client).Str("interaction", d.Interaction).Str("type", d.Type).
			Str("dataset", d.LiveDataset).Str("reason", d.LiveReason).Str("candidate_dataset", d.Dataset).Str("candidate_reason", d.Reason).
			Str("policy", d.LiveRevision).Str("candidate", d.ItsRevision).Msg("the candidate policy decides otherwise")
	}
}

// compare hands a decision over; it does not wait.
func (s *shadow) compare(in *policies.Input, dec *policies.Decision) {
	if s != nil {
		s.asked.Compare(in, dec)
	}
}

func (s *shadow) close() {
	if s != nil && s.asked != nil {
		s.asked.Close()
	}
}

// status is what administrators see of it.
func (s *shadow) status(live string) map[string]any {
	out := map[string]any{"bundle": s.bundle, "policy_revision": live}
	if s.problem != nil {
		out["problem"] = s.problem.Error()
		return out
	}
	c := s.asked.Counts()
	out["candidate_revision"], out["compared"], out["dropped"], out["differences"] = c.Candidate, c.Compared, c.Dropped, c.Differences
	return out
}

var (
	shadowCurrent  = prometheus.NewDesc("halfdoor_policy_shadow_current", "1 while the candidate of policy.shadow is compared; 0 if it is bad. Absent without one.", nil, nil)
	shadowCompared = prometheus.NewDesc("halfdoor_policy_shadow_calls_total", "Calls that the candidate was asked about, or that were dropped since too many waited. Another policy begins at 0.", []string{"outcome"}, nil)
	shadowDiffers  = prometheus.NewDesc("halfdoor_policy_shadow_differences_total", "Calls that the candidate would decide otherwise, by the weightiest difference: it allows, refuses or fails, another dataset, labels, terms or reason.", []string{"kind"}, nil)
)

// shadowCollector reads what the shadow found.
type shadowCollector struct{ g *Gateway }

// Describe names the metrics.
func (shadowCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- shadowCurrent
	ch <- shadowCompared
	ch <- shadowDiffers
}

// Collect reads them.
func (c shadowCollector) Collect(ch chan<- prometheus.Metric) {
	gen := c.g.current.Load()
	if gen == nil || gen.shadow == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(shadowCurrent, prometheus.GaugeValue, flag(gen.shadow.problem == nil))
	if gen.shadow.problem != nil {
		return
	}
	counts := gen.shadow.asked.Counts()
	counter := func(d *prometheus.Desc, n uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
	}
	counter(shadowCompared, counts.Compared, "compared")
	counter(shadowCompared, counts.Dropped, "dropped")
	for _, kind := range policies.ShadowKinds() {
		counter(shadowDiffers, counts.Differences[kind], string(kind))
	}
}
