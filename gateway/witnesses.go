package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/witness"
)

// watchers are the witnesses of the access log; nothing where there are none.
type watchers struct {
	all     *witness.Witnesses
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// openWitnesses begins to show the log's checkpoint to the configured witnesses. One that is down keeps no gateway
// from starting, and no call waiting.
func (g *Gateway) openWitnesses(cfg *configs.Config) error {
	if len(cfg.AccessLog.Witnesses) == 0 {
		return nil
	}
	o := witness.Options{
		Log: g.log, Dir: cfg.AccessLog.Dir, Every: time.Duration(cfg.AccessLog.WitnessEvery),
		Failed: func(name string, err error) {
			e := g.logger.Warn()
			if errors.Is(err, witness.ErrContradiction) {
				e = g.logger.Error()
			}
			e.Str("witness", name).Err(err).Msg("a witness did not cosign the access log")
		},
	}
	for i, c := range cfg.AccessLog.Witnesses {
		key, err := accesslog.ParseCosigner(c.Key)
		if err != nil {
			return fmt.Errorf("access_log.witnesses[%d]: %w", i, err)
		}
		t := &tls.Config{MinVersion: tls.VersionTLS12}
		if t.RootCAs, err = roots(c.CA); err != nil {
			return fmt.Errorf("access_log.witnesses[%d]: %w", i, err)
		}
		o.Witnesses = append(o.Witnesses, witness.Witness{Key: key, URL: c.URL, Client: peerClient(t)})
	}
	all, err := witness.New(o)
	if err != nil {
		return fmt.Errorf("access_log.witnesses: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.watchers.all, g.watchers.cancel = all, cancel
	g.watchers.running.Go(func() { all.Run(ctx) })
	return nil
}

// close ends what is under way with a witness.
func (w *watchers) close() {
	if w.cancel != nil {
		w.cancel()
	}
	w.running.Wait()
}

// statuses are how the witnesses do.
func (w *watchers) statuses() []witness.Status {
	if w.all == nil {
		return nil
	}
	return w.all.Statuses()
}

// witnessCollector tells Prometheus of the witnesses.
type witnessCollector struct{ g *Gateway }

var (
	witnessBehind         = prometheus.NewDesc("halfdoor_witness_behind_records", "Records of the access log that a witness has not cosigned yet.", []string{"witness"}, nil)
	witnessFailing        = prometheus.NewDesc("halfdoor_witness_failing", "1 while a witness's last answer was no cosignature.", []string{"witness"}, nil)
	witnessContradicts    = prometheus.NewDesc("halfdoor_witness_contradicts", "1 while a witness's last answer was that it has cosigned what is not in the access log.", []string{"witness"}, nil)
	witnessFailures       = prometheus.NewDesc("halfdoor_witness_failures_total", "Checkpoints that a witness did not cosign.", []string{"witness"}, nil)
	witnessContradictions = prometheus.NewDesc("halfdoor_witness_contradictions_total", "Of these, those where it has cosigned what is not in the access log.", []string{"witness"}, nil)
)

func (witnessCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{witnessBehind, witnessFailing, witnessContradicts, witnessFailures, witnessContradictions} {
		ch <- d
	}
}

func (c witnessCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.g.watchers.statuses() {
		for d, v := range map[*prometheus.Desc]float64{witnessBehind: float64(s.Behind), witnessFailing: flag(s.Failing), witnessContradicts: flag(s.Contradicts)} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name)
		}
		ch <- prometheus.MustNewConstMetric(witnessFailures, prometheus.CounterValue, float64(s.Failures), s.Name)
		ch <- prometheus.MustNewConstMetric(witnessContradictions, prometheus.CounterValue, float64(s.Contradictions), s.Name)
	}
}
