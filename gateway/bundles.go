package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// Bundles from a server go live while the gateway runs. OPA gets, verifies and keeps them (policies/delivery); adopt is
// its gate: a bundle that passes every check is a new generation of the same parts, and a call has the one or the other,
// whole. The server's settings last as long as the process, since what it sent does.

// deliveryOf is how a configuration has its bundle delivered.
func deliveryOf(cfg *configs.Config) (delivery.Options, error) {
	p := &cfg.Policy
	signing, err := signingOf(p.Signing)
	if err != nil {
		return delivery.Options{}, err
	}
	o := delivery.Options{
		ID:       cfg.AccessLog.Origin,
		Service:  delivery.Service{URL: p.Server.URL, Certificate: p.Server.Certificate, Key: p.Server.Key, CA: p.Server.CA},
		Resource: p.Resource, Discovery: p.Discovery,
		Polling: delivery.Polling{Min: time.Duration(p.Polling.Min), Max: time.Duration(p.Polling.Max), LongPolling: time.Duration(p.Polling.LongPollingTimeout)},
		Signing: signing, InsecureUnsigned: p.InsecureUnsignedBundle,
		Persist: p.Persist, Status: p.Status,
		DecisionLogs: delivery.DecisionLogs{Service: p.DecisionLogs.Server, Console: p.DecisionLogs.Console},
	}
	if file, ok := strings.CutPrefix(p.Server.Bearer.Reference(), "file:"); ok {
		o.Service.TokenFile = file
	} else {
		o.Service.Token = p.Server.Bearer.Value()
	}
	return o, nil
}

// fingerprint stands for all that a delivery goes by; empty where the bundle does not come from a server.
func fingerprint(cfg *configs.Config) (string, error) {
	if cfg.Policy.Server == nil {
		return "", nil
	}
	o, err := deliveryOf(cfg)
	if err != nil {
		return "", err
	}
	return o.Fingerprint()
}

// subscribe begins to follow the bundle server. When it returns, the last good bundle serves, if there is one on the disk.
func (g *Gateway) subscribe(cfg *configs.Config) error {
	o, err := deliveryOf(cfg)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	o.Activate, o.Told, o.Logger = g.adopt, g.told, g.logger
	d, err := delivery.New(o)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if err := d.Start(context.Background()); err != nil {
		d.Stop(context.Background())
		return fmt.Errorf("policy: %w", err)
	}
	g.delivery.Store(d)
	return nil
}

// adopt lets a delivered bundle go live, or says why it cannot. What is not about the bundle wraps delivery.ErrAgain.
func (g *Gateway) adopt(ctx context.Context, tree fs.FS) error {
	engine, err := CheckBundle(ctx, tree)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(delivery.ErrAgain, err) // a busy machine, perhaps
		}
		g.told(err)
		return errors.Join(err, g.act("bundle-refused", "the policies in force go on"))
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	before := g.current.Load()
	if before.policies.Revision() != engine.Revision() || before.waiting {
		if err := g.act("bundle", "policy "+engine.Revision()); err != nil {
			return err
		}
		g.current.Swap(before.under(engine)).release()
		g.metrics.bundles.WithLabelValues("live").Inc()
		g.logger.Info().Str("policy", engine.Revision()).Msg("a new bundle is live")
	}
	return nil
}

// act records an act of the delivery's. A log that fails is not about the bundle.
func (g *Gateway) act(act, detail string) error {
	if err := g.Act(act, detail); err != nil {
		return errors.Join(delivery.ErrAgain, err)
	}
	return nil
}

// told notes how the newest attempt to get a bundle ended. One failure is told once, however often it repeats.
func (g *Gateway) told(err error) {
	before := g.bundleFail.Load()
	switch {
	case err == nil:
		if before != nil {
			g.bundleFail.Store(nil)
			g.logger.Info().Msg("bundles come again")
		}
	case before == nil || before.err.Error() != err.Error():
		g.bundleFail.Store(&reloadFailure{at: g.now(), err: err})
		g.metrics.bundles.WithLabelValues("failed").Inc()
		g.logger.Error().Err(err).Str("policy", g.current.Load().policies.Revision()).Msg("no newer bundle: the policies in force go on")
	}
}

// awaited are the policies of a gateway that waits for its first bundle.
func awaited() (*policies.Engine, error) { return compiled(policies.Absent()) }
