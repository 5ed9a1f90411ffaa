// Package gateway is the path of a call from a helpdesk app to an EHR and back.
//
// It guarantees that a body leaves only for an authenticated caller, whose SMART scopes
// and the policy both cover the call, reduced to the policy's dataset, with identifiers
// in tokens, and after the access record that names what it discloses is durable. Where
// it is unsure it refuses, and each refusal is an OperationOutcome with a stable code
// (refusal.go) and a record of its own.
//
// serve.go is the path itself; every other file is one step of it.
package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/state"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// Options is what a Gateway is made of.
type Options struct {
	Config  *configs.Config
	Logger  zerolog.Logger
	Version string           // of the program, for records and metrics
	Now     func() time.Time // default time.Now
	LogFS   accesslog.FS     // default the operating system's; a test may break it
	Quota   Quota            // default one of this process; a test may break it

	Replays auth.Replays // default those of this process; a test may break it

	Outcomes Outcomes // default those of this process; a test may fill them

	Switches Switches // default those of this machine, in a file; a test may break them

	Openings Openings // default those of this process; a test may break it

	Memory Usage // default the process's own; a test may fill it
}

// A Gateway serves the FHIR listener. One generation of configuration, policies, datasets
// and keys stands behind an atomic pointer; the access log lives as long as the Gateway.
type Gateway struct {
	now     func() time.Time
	logger  zerolog.Logger
	version string
	log     *accesslog.Log
	flood   *flood
	metrics *metrics
	room    *room
	seats   seats
	memory  pressure
	fixed   fixed
	quota   Quota
	usage   func() state.Usage // of the quota, where it is ours
	rate    *state.Rate

	outcomes Outcomes
	switches Switches

	keepSwitches func(file string) error // of the switches, where they are ours
	openings     Openings
	replays      auth.Replays

	encoders encoders // of what leaves
	outlets  outlets  // of the access log
	watchers watchers // of the access log
	skip     skipping // nothing, but in a build for test/bench

	bodies     atomic.Int64   // of requests, that calls under way hold, in bytes
	calls      sync.WaitGroup // under way
	loading    sync.Mutex     // taken before reloading
	reloading  sync.Mutex
	current    atomic.Pointer[generation]
	reloadFail atomic.Pointer[reloadFailure]     // nil after a reload that went live
	bundleFail atomic.Pointer[reloadFailure]     // of the bundle server; nil while what it has is what serves
	delivery   atomic.Pointer[delivery.Delivery] // nil without a bundle server
	draining   atomic.Bool
}

// reloadFailure tells why the newest configuration is not the one that serves.
type reloadFailure struct {
	at  time.Time
	err error
}

// New opens the access log, builds the first generation and records the start. It makes no
// call to an issuer or EHR.
func New(o Options) (*Gateway, error) {
	if o.Config == nil {
		return nil, errors.New("gateway needs a configuration")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	cfg := o.Config
	var holders holders
	log, err := accesslog.Open(accesslog.Options{
		Dir:          cfg.AccessLog.Dir,
		Origin:       cfg.AccessLog.Origin,
		SigningKey:   cfg.AccessLog.SigningKey.Bytes(),
		PatientKey:   cfg.AccessLog.PatientKey.Bytes(),
		SegmentBytes: int64(cfg.AccessLog.SegmentSize),
		SegmentAge:   time.Duration(cfg.AccessLog.SegmentAge),
		Compress:     cfg.AccessLog.Compress,
		Retention:    time.Duration(cfg.AccessLog.RetentionDays) * 24 * time.Hour,
		Holders:      holders.known,
		Hold:         time.Duration(cfg.AccessLog.HoldDays) * 24 * time.Hour,
		RetiringKey:  cfg.AccessLog.RetiringKey.Bytes(),
		Reserve:      int64(cfg.AccessLog.Reserve),
		Low:          int64(cfg.AccessLog.LowSpace),
		Noticed:      logNews(o.Logger),
		Now:          o.Now,
		FS:           o.LogFS,
	})
	if err != nil {
		return nil, fmt.Errorf("access_log: %w", err)
	}
	g := &Gateway{
		now:     o.Now,
		logger:  o.Logger,
		version: o.Version,
		log:     log,
		room:    newRoom(cfg.Limits.ConcurrentRequests),
		rate:    state.NewRate(state.RateOptions{Now: o.Now}),
	}
	if g.memory.usage = o.Memory; g.memory.usage == nil {
		g.memory.usage = inUse
	}
	counted := state.NewQuota(state.QuotaOptions{Now: o.Now})
	if g.quota, g.usage = o.Quota, counted.Usage; g.quota == nil {
		g.quota = counted
	}
	if g.outcomes = o.Outcomes; g.outcomes == nil {
		g.outcomes = state.NewOutcomes(state.OutcomesOptions{Now: o.Now})
	}
	if g.openings = o.Openings; g.openings == nil {
		g.openings = state.NewOpenings(state.OpeningsOptions{Now: o.Now})
	}
	if g.replays = o.Replays; g.replays == nil {
		g.replays = state.NewReplays(state.ReplaysOptions{Now: o.Now})
	}
	g.flood = &flood{
		now: o.Now, spent: func() bool { return log.Space().Spent },
		append: func(r *accesslog.Record) error { _, err := log.Append(r); return err },
	}
	if g.switches = o.Switches; g.switches == nil {
		kept, err := state.OpenSwitches(state.SwitchesOptions{File: switchesFile(cfg), Now: o.Now})
		if err != nil {
			return nil, errors.Join(err, log.Close())
		}
		g.switches, g.keepSwitches = kept, kept.Move
	}
	g.metrics = newMetrics(g)
	engine := func() (*policies.Engine, error) { return policiesOf(&cfg.Policy) }
	if cfg.Policy.Server != nil {
		engine = awaited
	}
	if g.fixed, err = fixedOf(cfg); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	gen, err := build(cfg, engine, nil, g.replays, g.breakerChanged, o.Now)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	gen.waiting = cfg.Policy.Server != nil
	if n := gen.vault.Damaged(); n > 0 {
		g.logger.Warn().Int("lines", n).Msg("damaged lines in the file of long ids: their tokens do not open until the ids are seen again")
	}
	if len(g.crowded()) > 0 {
		logNews(g.logger)(log.Space(), log.Neglect())
	}
	gen.shadow = g.cast(cfg)
	g.current.Store(gen)
	if err := g.Act("start", o.Version+", policy "+gen.policies.Revision()); err != nil {
		gen.release()
		return nil, errors.Join(err, log.Close())
	}
	if err := g.openSinks(cfg); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := g.openWitnesses(cfg); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	holders.of(g)
	if cfg.Policy.Server != nil {
		if err := g.subscribe(cfg); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

// Reload builds a whole new generation from cfg and swaps it in. On error the old one
// goes on, and the error says why; either way the attempt is recorded.
func (g *Gateway) Reload(cfg *configs.Config, loadErr error) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	err := loadErr
	var gen *generation
	if err == nil {
		if err = g.fixed.unchanged(cfg); err == nil {
			before := g.current.Load()
			engine := func() (*policies.Engine, error) { return policiesOf(&cfg.Policy) }
			if cfg.Policy.Server != nil {
				engine = func() (*policies.Engine, error) { return before.policies, nil }
			}
			if gen, err = build(cfg, engine, before, g.replays, g.breakerChanged, g.now); err == nil {
				gen.waiting = before.waiting
				gen.shadow = g.cast(cfg)
				if g.keepSwitches != nil {
					if err = g.keepSwitches(switchesFile(cfg)); err != nil {
						gen.release()
					}
				}
			}
		}
	}
	if err != nil {
		g.reloadFail.Store(&reloadFailure{at: g.now(), err: err})
		g.metrics.reloads.WithLabelValues("refused").Inc()
		return errors.Join(err, g.Act("reload-refused", "the old configuration goes on"))
	}
	if err := g.Act("reload", "policy "+gen.policies.Revision()); err != nil {
		gen.release()
		return err
	}
	g.current.Swap(gen).release()
	g.reloadFail.Store(nil)
	g.metrics.reloads.WithLabelValues("live").Inc()
	return nil
}

// Act records an administrative act, in words that hold no secret and no patient data.
// It returns when the record is durable; an act that cannot be recorded must not be done.
func (g *Gateway) Act(act, detail string) error {
	_, err := g.log.Append(&accesslog.Record{Time: g.now(), Kind: accesslog.KindAdmin, Code: act, Detail: detail})
	return err
}

// Ready says why the gateway should get no calls; nil when it may.
func (g *Gateway) Ready() error {
	if err := g.log.Err(); err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	if err := g.current.Load().vault.Err(); err != nil {
		return err
	}
	if g.current.Load().waiting {
		return errors.New("no policy bundle has come yet")
	}
	if g.draining.Load() {
		return errors.New("shutting down")
	}
	return nil
}

// Close records the stop and ends the access log. Calls must have ended.
func (g *Gateway) Close() error {
	if d := g.delivery.Swap(nil); d != nil {
		d.Stop(context.Background()) // before the lock, which a bundle that is about to go live takes
	}
	g.reloading.Lock() // a reload under way swaps before, or finds the log closed
	defer g.reloading.Unlock()
	var err error
	if g.log.Err() == nil { // else its own Close says why
		err = errors.Join(g.flood.end(), g.Act("stop", ""))
	}
	g.outlets.close()
	g.watchers.close()
	g.current.Load().release()
	return errors.Join(err, g.log.Close())
}

// fixed is the part of a configuration that lives as long as the process.
type fixed struct {
	listen, adminListen string
	logDir, origin      string
	signing, patient    []byte
	segment             int64
	upkeep              configs.AccessLog // but its folder and keys
	limits              configs.Limits    // but those that a generation applies
	sinks               []configs.Sink
	witnesses           []configs.Witness
	witnessEvery        configs.Duration
	shutdown            configs.Duration
	delivery            string
}

func fixedOf(cfg *configs.Config) (fixed, error) {
	from, err := fingerprint(cfg)
	return fixed{
		delivery: from,
		listen:   cfg.Listen, adminListen: cfg.Admin.Listen,
		logDir: cfg.AccessLog.Dir, origin: cfg.AccessLog.Origin,
		signing: cfg.AccessLog.SigningKey.Bytes(), patient: cfg.AccessLog.PatientKey.Bytes(),
		segment: int64(cfg.AccessLog.SegmentSize),
		upkeep: configs.AccessLog{
			SegmentAge: cfg.AccessLog.SegmentAge, Compress: cfg.AccessLog.Compress, RetentionDays: cfg.AccessLog.RetentionDays, HoldDays: cfg.AccessLog.HoldDays,
			Reserve: cfg.AccessLog.Reserve, LowSpace: cfg.AccessLog.LowSpace,
		},
		sinks: cfg.Sinks, witnesses: cfg.AccessLog.Witnesses, witnessEvery: cfg.AccessLog.WitnessEvery,
		limits: configs.Limits{
			HeaderBytes: cfg.Limits.HeaderBytes, ReadHeaderTimeout: cfg.Limits.ReadHeaderTimeout,
			IdleTimeout: cfg.Limits.IdleTimeout, ConcurrentRequests: cfg.Limits.ConcurrentRequests,
		},
		shutdown: cfg.ShutdownTimeout,
	}, err
}

// unchanged refuses a reload that would need another listener or log.
func (f fixed) unchanged(cfg *configs.Config) error {
	n, err := fixedOf(cfg)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range []struct {
		key  string
		same bool
	}{
		{"listen", f.listen == n.listen},
		{"admin.listen", f.adminListen == n.adminListen},
		{"access_log.dir", f.logDir == n.logDir},
		{"access_log.origin", f.origin == n.origin},
		{"access_log.signing_key", bytes.Equal(f.signing, n.signing)},
		{"access_log.patient_key", bytes.Equal(f.patient, n.patient)},
		{"access_log.segment_size", f.segment == n.segment},
		{"access_log: segment_age, compress, retention_days, hold_days, reserve and low_space", reflect.DeepEqual(f.upkeep, n.upkeep)},
		{"access_log: witnesses and witness_every", reflect.DeepEqual(f.witnesses, n.witnesses) && f.witnessEvery == n.witnessEvery},
		{"sinks", reflect.DeepEqual(f.sinks, n.sinks)},
		{"limits: header_bytes, read_header_timeout, idle_timeout and concurrent_requests", f.limits == n.limits},
		{"shutdown_timeout", f.shutdown == n.shutdown},
		{"policy.server, and what its bundles are got and verified by,", f.delivery == n.delivery},
	} {
		if !c.same {
			errs = append(errs, fmt.Errorf("%s cannot change while the gateway runs: restart it", c.key))
		}
	}
	return errors.Join(errs...)
}
