package delivery

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
)

// Once asks the server a single time, as a Delivery would, and shows the gate what it has. Nothing is kept on the disk, and
// nothing on it is looked at.
func Once(ctx context.Context, o Options) error {
	o.once = true
	d, err := New(o)
	if err != nil {
		return err
	}
	defer d.manager.Stop(context.WithoutCancel(ctx))
	if err := d.manager.Start(ctx); err != nil {
		return err
	}
	if o.Discovery != "" {
		var failed error
		disco := discovery.Lookup(d.manager)
		disco.RegisterListener("once", func(s bundle.Status) { failed = failure(s) }) // its Trigger tells of downloads alone
		if err := errors.Join(disco.Trigger(ctx), failed); err != nil {
			return err
		}
	}
	p := bundle.Lookup(d.manager)
	if p == nil {
		return errors.New("bundle delivery: nothing says where the bundle is")
	}
	return p.Trigger(ctx)
}

// Kept is where the last good bundle is, below the folder of that name in [Options].
func Kept(persist string) string {
	return filepath.Join(persist, "bundles", bundleName, "bundle.tar.gz")
}
