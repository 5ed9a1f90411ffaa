package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/hooks"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// A Delivery follows a bundle server.
type Delivery struct {
	options Options
	manager *plugins.Manager
}

// New makes a delivery, which asks nobody until Start. The error says what of the options OPA does not take.
func New(o Options) (*Delivery, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Delivery{options: o}
	doc := o.document()
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	found := hooks.New(&discovered{options: &d.options})
	d.manager, err = plugins.New(raw, o.ID, &gate{Store: inmem.New(), activate: o.Activate},
		plugins.Logger(voice{o.Logger}),
		plugins.ConsoleLogger(voice{o.Logger}),
		plugins.WithHooks(found),
		plugins.GracefulShutdownPeriod(graceSeconds),
		plugins.WithParserOptions(ast.ParserOptions{RegoVersion: ast.RegoV1}),
	)
	if err != nil {
		return nil, fmt.Errorf("bundle delivery: %w", err)
	}
	// With nothing to discover, this plugin makes the others from the configuration, and does nothing more.
	disco, err := discovery.New(d.manager, discovery.Hooks(found), discovery.BootConfig(doc))
	if err != nil {
		d.manager.Stop(context.Background())
		return nil, fmt.Errorf("bundle delivery: %w", err)
	}
	d.manager.Register(discovery.Name, disco)
	disco.RegisterListener(bundleName, func(s bundle.Status) {
		d.listen()
		if err := failure(s); err != nil {
			o.Told(fmt.Errorf("discovery: %w", err))
		}
	})
	d.listen()
	return d, nil
}

// listen hears the bundle plugin, once there is one.
func (d *Delivery) listen() {
	if p := bundle.Lookup(d.manager); p != nil {
		p.Register(bundleName, func(s bundle.Status) { d.options.Told(failure(s)) })
	}
}

// failure is what a status says is wrong.
func failure(s bundle.Status) error {
	if s.Code == "" {
		return nil
	}
	errs := []error{errors.New(s.Message)}
	return errors.Join(append(errs, s.Errors...)...)
}

// Start begins. When it returns, the last good bundle was shown to the gate, if the disk has one with a good signature; what
// the server has comes later.
func (d *Delivery) Start(ctx context.Context) error {
	if err := os.MkdirAll(d.options.Persist, 0o700); err != nil { // before OPA makes it, open to all
		return fmt.Errorf("bundle delivery: %w", err)
	}
	if err := d.manager.Start(ctx); err != nil {
		return fmt.Errorf("bundle delivery: %w", err)
	}
	d.listen()
	return nil
}

// graceSeconds is how long the last decisions may take to be sent.
const graceSeconds = 5

// Stop ends it, with what was under way; the gate is not called any more then. Decisions logged until then are sent.
func (d *Delivery) Stop(ctx context.Context) { d.manager.Stop(ctx) }
