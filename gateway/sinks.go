package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog/balp"
	"github.com/halfdoor/halfdoor/gateway/accesslog/postgres"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// outlets are where the access log's records are handed on to.
type outlets struct {
	all     []*sinks.Sink
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// openSinks builds the configured sinks, and starts them. None of them is connected to yet: a peer that is down
// keeps no gateway from starting.
func (g *Gateway) openSinks(cfg *configs.Config) error {
	for i := range cfg.Sinks {
		c := &cfg.Sinks[i]
		peer, err := g.peer(cfg, c)
		if err != nil {
			return fmt.Errorf("sink %s: %w", c.Name, err)
		}
		s, err := sinks.New(sinks.Options{
			Name: c.Name, Kind: c.Kind, Log: g.log, Dir: cfg.AccessLog.Dir, Cursor: cfg.AccessLog.Dir + ".sinks/" + c.Name + ".json", Peer: peer,
			Failed: func(err error) { g.logger.Warn().Str("sink", c.Name).Err(err).Msg("a sink of the access log fails") },
		})
		if err != nil {
			return errors.Join(fmt.Errorf("sink %s: %w", c.Name, err), peer.Close())
		}
		g.outlets.all = append(g.outlets.all, s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.outlets.cancel = cancel
	for _, s := range g.outlets.all {
		g.outlets.running.Go(func() { s.Run(ctx) })
	}
	return nil
}

// close stops the sinks; they go on where they are with the next start.
func (o *outlets) close() {
	if o.cancel != nil {
		o.cancel()
	}
	o.running.Wait()
}

// peer is what a sink hands records to.
func (g *Gateway) peer(cfg *configs.Config, c *configs.Sink) (sinks.Peer, error) {
	own := ""
	if u, err := url.Parse(cfg.PublicURL); err == nil {
		own = u.Hostname()
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if t.RootCAs, err = roots(c.CA); err != nil {
		return nil, err
	}
	if c.Certificate != "" {
		identity, err := certs.LoadIdentity(c.Certificate, c.Key, g.now)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{*identity}
	}
	if c.Kind == "syslog" {
		return sinks.NewSyslog(sinks.SyslogOptions{Address: c.Address, TLS: t, Hostname: own, Origin: g.log.Origin()})
	}
	if c.Kind == "postgres" {
		to, err := postgres.Configure(c.URL, string(c.Password.Bytes()), t)
		if err != nil {
			return nil, err
		}
		return postgres.NewSink(to, g.log.Origin())
	}
	client := peerClient(t)
	if c.Kind == "otlp" {
		return sinks.NewOTLP(sinks.OTLPOptions{URL: c.URL, Bearer: c.Bearer.Bytes(), Client: client, Origin: g.log.Origin(), Host: own})
	}
	events, err := balp.New(balp.Options{Origin: g.log.Origin(), Host: own, Sentence: Sentence})
	if err != nil {
		return nil, err
	}
	return sinks.NewFHIR(sinks.FHIROptions{BaseURL: c.URL, Bearer: c.Bearer.Bytes(), Client: client, Events: events})
}

// peerClient is a client of who gets the log's records or checkpoints: they go where they were meant to, and nowhere
// that an answer says.
func peerClient(t *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// statuses are how the sinks do.
func (o *outlets) statuses() []sinks.Status {
	all := make([]sinks.Status, 0, len(o.all))
	for _, s := range o.all {
		all = append(all, s.Status())
	}
	return all
}

// sinkCollector tells Prometheus of the sinks.
type sinkCollector struct{ g *Gateway }

var (
	sinkBehind   = prometheus.NewDesc("halfdoor_sink_behind_records", "Records of the access log that a sink has not delivered yet.", []string{"sink"}, nil)
	sinkSeconds  = prometheus.NewDesc("halfdoor_sink_behind_seconds", "Age of the oldest record that a sink is about to deliver; 0 where there is none.", []string{"sink"}, nil)
	sinkFailing  = prometheus.NewDesc("halfdoor_sink_failing", "1 while a sink's last try failed.", []string{"sink"}, nil)
	sinkDiffers  = prometheus.NewDesc("halfdoor_sink_history_differs", "1 while a sink's peer has another record than the log under the same number.", []string{"sink"}, nil)
	sinkFailures = prometheus.NewDesc("halfdoor_sink_failures_total", "Tries of a sink that failed.", []string{"sink"}, nil)
	sinkLost     = prometheus.NewDesc("halfdoor_sink_lost_records_total", "Records that were removed by retention before a sink had delivered them.", []string{"sink"}, nil)
)

func (sinkCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sinkBehind, sinkSeconds, sinkFailing, sinkDiffers, sinkFailures, sinkLost} {
		ch <- d
	}
}

func (c sinkCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.g.outlets.statuses() {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, c.g.now().Sub(s.Oldest).Seconds())
		}
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name)
		}
		gauge(sinkBehind, float64(s.Behind))
		gauge(sinkSeconds, age)
		gauge(sinkFailing, flag(s.Failing))
		gauge(sinkDiffers, flag(s.Differs))
		ch <- prometheus.MustNewConstMetric(sinkFailures, prometheus.CounterValue, float64(s.Failures), s.Name)
		ch <- prometheus.MustNewConstMetric(sinkLost, prometheus.CounterValue, float64(s.Lost), s.Name)
	}
}
