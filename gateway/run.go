package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/admin"
	"github.com/halfdoor/halfdoor/gateway/auth"
)

// RunOptions is a running gateway: its listeners, its reloads and its end.
type RunOptions struct {
	Load    func() (*configs.Config, error) // at the start, and at each reload
	Logger  zerolog.Logger
	Version string
	Now     func() time.Time // default time.Now
	LogFS   accesslog.FS     // as in Options
	Quota   Quota            // as in Options

	Replays auth.Replays // as in Options

	Outcomes Outcomes // as in Options

	Switches Switches // as in Options
	Memory   Usage    // as in Options

	Openings Openings // as in Options

	Listener, Admin net.Listener     // Run closes them; default: opened as the configuration says
	Reload          <-chan os.Signal // each asks for a reload
	Ready           func(Addresses)  // called once, when calls are served
}

// Addresses are where a running gateway listens.
type Addresses struct{ FHIR, Admin net.Addr }

// Run serves until ctx ends, and then drains: no new calls, those under way to their end,
// but no longer than the configured shutdown timeout.
func Run(ctx context.Context, o RunOptions) error {
	defer o.letGo()
	cfg, err := o.Load()
	if err != nil {
		return err
	}
	watcher := o.watch(cfg)
	defer watcher.close()
	if cfg, err = o.Load(); err != nil { // again: what changed before the watch began is in it now
		return err
	}
	g, err := New(Options{Config: cfg, Logger: o.Logger, Version: o.Version, Now: o.Now, LogFS: o.LogFS, Quota: o.Quota, Outcomes: o.Outcomes, Switches: o.Switches, Openings: o.Openings, Replays: o.Replays, Memory: o.Memory})
	if err != nil {
		return err
	}
	fhirL, adminL, err := listeners(o, cfg)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	handler, err := admin.Handler(admin.Options{
		Token:   func() []byte { return g.current.Load().admin.Bytes() },
		Ready:   g.Ready,
		Worse:   g.worse,
		Metrics: promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}),
		Status:  g.status,
		Reload:  func() error { return g.reload(o.Load) },
		Act:     g.Act,

		SwitchedOff: func() any { return g.off() }, SwitchOff: g.switchOff, SwitchOn: g.switchOn, BadSwitch: badSwitch,
	})
	if err != nil {
		return errors.Join(err, fhirL.Close(), adminL.Close(), g.Close())
	}

	noise := stdlog.New(noise{o.Logger}, "", 0)
	front, taken := g.Front(fhirL, noise)
	back := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: noise}
	failed := make(chan error, 2)
	go func() { failed <- front.ServeTLS(taken, "", "") }()
	go func() {
		if cfg.Admin.TLS != nil {
			back.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return g.current.Load().adminTLS, nil
			}}
			failed <- back.ServeTLS(adminL, "", "")
			return
		}
		failed <- back.Serve(adminL)
	}()
	stopReviews := g.review()
	watching, stopWatching := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { g.follow(watching, o, watcher) })
	o.Logger.Info().Str("fhir", fhirL.Addr().String()).Str("admin", adminL.Addr().String()).
		Str("policy", g.current.Load().policies.Revision()).Msg("serving")
	if o.Ready != nil {
		o.Ready(Addresses{FHIR: fhirL.Addr(), Admin: adminL.Addr()})
	}

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	g.draining.Store(true)
	stopWatching()
	watchers.Wait()
	o.Logger.Info().Msg("draining")
	drain, cancel := context.WithTimeout(context.Background(), time.Duration(cfg.ShutdownTimeout))
	defer cancel()
	if e := front.Shutdown(drain); e != nil {
		o.Logger.Warn().Msg("calls still under way were cut: the shutdown timeout is over")
		err = errors.Join(err, front.Close())
	}
	err = errors.Join(err, back.Close())
	stopReviews()
	g.calls.Wait() // calls that were cut still write their closing records
	return errors.Join(err, g.Close())
}

// letGo closes the listeners that were given, also where nothing came to serve on them.
func (o *RunOptions) letGo() {
	for _, l := range []net.Listener{o.Listener, o.Admin} {
		if l != nil {
			_ = l.Close() // closed already, where it was served on
		}
	}
}

// Front is the server of the FHIR listener, and what it serves on: HTTP/2 and HTTP/1.1 over TLS, bounded in what a client
// can make it hold or wait for. Its complaints go to noise.
func (g *Gateway) Front(l net.Listener, noise *stdlog.Logger) (*http.Server, net.Listener) {
	gen, limits := g.current.Load(), g.fixed.limits
	server := &http.Server{
		Handler:           g,
		ConnContext:       knowing,
		MaxHeaderBytes:    int(limits.HeaderBytes),
		ReadHeaderTimeout: time.Duration(limits.ReadHeaderTimeout),
		ReadTimeout:       time.Duration(limits.ReadHeaderTimeout), // read moves it, once it is known who sends the body
		IdleTimeout:       time.Duration(limits.IdleTimeout),

		DisableGeneralOptionsHandler: true,                       // "OPTIONS *" is refused and recorded like any other
		WriteTimeout:                 gen.longest + gen.patience, // each call and window moves it
		ErrorLog:                     noise,
		HTTP2: &http.HTTP2Config{
			// By default a connection may send 1 MiB of bodies that nobody has asked for yet, as their senders are not known.
			MaxReceiveBufferPerConnection: 256 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
		},
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, // the generation's own minimum decides
			NextProtos: []string{"h2", "http/1.1"},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return g.current.Load().tls, nil
			},
		},
	}
	taken := newBounded(l, connectionsPerCall*limits.ConcurrentRequests)
	server.ConnState = taken.state
	g.metrics.registry.MustRegister(droppedConnections(taken))
	return server, taken
}

func listeners(o RunOptions, cfg *configs.Config) (front, back net.Listener, err error) {
	front, back = o.Listener, o.Admin
	if front == nil {
		if front, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, nil, fmt.Errorf("listen: %w", err)
		}
	}
	if back == nil {
		if back, err = net.Listen("tcp", cfg.Admin.Listen); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("admin.listen: %w", err), front.Close())
		}
	}
	return front, back, nil
}

// watcher tells when a file changes that the configuration reads.
type watcher struct {
	*configs.Watcher                                 // nil where the system does not let files be watched
	serving          atomic.Pointer[func() []string] // the files of the generation that serves; nil before there is one
}

// watch begins before the first generation is built, so that no change is missed.
func (o *RunOptions) watch(cfg *configs.Config) *watcher {
	w := &watcher{}
	files := cfg.Files
	w.serving.Store(&files)
	var err error
	w.Watcher, err = configs.NewWatcher(configs.WatchOptions{Paths: func() []string { return (*w.serving.Load())() }})
	if err != nil {
		o.Logger.Error().Err(err).Msg("files are not watched: reload by SIGHUP")
	}
	return w
}

func (w *watcher) close() {
	if w.Watcher != nil {
		_ = w.Close() // nothing was written
	}
}

// follow reloads on a signal, and when a file changes that the configuration reads.
func (g *Gateway) follow(ctx context.Context, o RunOptions, w *watcher) {
	reload := func() { _ = g.reload(o.Load) } // it logs and records the outcome itself
	files := g.files
	w.serving.Store(&files)
	var watching sync.WaitGroup
	defer watching.Wait()
	if w.Watcher != nil {
		watching.Go(func() {
			if err := w.Run(ctx, reload); err != nil && ctx.Err() == nil {
				g.logger.Error().Err(err).Msg("files are no longer watched: reload by SIGHUP")
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.Reload:
			reload()
		}
	}
}

// files are those of the configuration that serves.
func (g *Gateway) files() []string { return g.current.Load().files }

func (g *Gateway) reload(load func() (*configs.Config, error)) error {
	g.loading.Lock() // what was read last goes live last
	defer g.loading.Unlock()
	cfg, err := load()
	if err = g.Reload(cfg, err); err != nil {
		g.logger.Error().Err(err).Msg("reload refused: the old configuration goes on")
		return err
	}
	g.logger.Info().Str("policy", g.current.Load().policies.Revision()).Msg("reloaded")
	return nil
}

// status is what administrators see of the generation that serves.
func (g *Gateway) status() any {
	gen := g.current.Load()
	s := map[string]any{
		"version": g.version, "policy_revision": gen.policies.Revision(), "datasets": gen.policies.Datasets(),
		"draining": g.draining.Load(), "access_log": "healthy",
		"patients_told": g.usage(), "switched_off": g.off(), "ehrs": gen.health(),
	}
	if len(g.outlets.all) > 0 {
		s["sinks"] = g.outlets.statuses()
	}
	if all := g.watchers.statuses(); len(all) > 0 {
		s["witnesses"] = all
	}
	if gen.shadow != nil {
		s["shadow"] = gen.shadow.status(gen.policies.Revision())
	}
	if err := g.log.Err(); err != nil {
		s["access_log"] = err.Error()
	}
	if f := g.bundleFail.Load(); f != nil {
		s["bundle_refused"] = map[string]any{"at": f.at.UTC(), "problem": f.err.Error()}
	}
	s["access_log_disk"] = g.log.Space()
	if all := g.worse(); len(all) > 0 {
		s["degraded"] = all
	}
	if f := g.reloadFail.Load(); f != nil {
		s["reload_refused"] = map[string]any{"at": f.at.UTC(), "problem": f.err.Error()}
	}
	return s
}

// noise hands the HTTP server's own complaints, broken handshakes mostly, to the log.
type noise struct{ logger zerolog.Logger }

func (n noise) Write(p []byte) (int, error) {
	n.logger.Debug().Str("http", string(p)).Msg("connection")
	return len(p), nil
}
