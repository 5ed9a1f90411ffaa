package delivery

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/server"
)

// Decision is one decision, as OPA's decision log has it.
type Decision struct {
	ID       string // of the call that it was for
	Path     string // of the rule
	Revision string // of the bundle
	Input    any
	Result   any   // nil where there was none
	Err      error // why not
	Time     time.Time
}

// Logs tells whether decisions are to be logged.
func (d *Delivery) Logs() bool { return logs.Lookup(d.manager) != nil }

// Log hands a decision to OPA's decision log, which masks it by data.system.log.mask of the bundle, if that has such a rule. An
// error means that it was dropped. One without an error can be dropped later: by a buffer that is full, a server that is
// down, the end of the process.
func (d *Delivery) Log(ctx context.Context, of Decision) error {
	p := logs.Lookup(d.manager)
	if p == nil {
		return nil
	}
	info := &server.Info{
		DecisionID: of.ID, Path: of.Path, Timestamp: of.Time, Input: &of.Input, Error: of.Err,
		Bundles: map[string]server.BundleInfo{bundleName: {Revision: of.Revision}},
	}
	if of.Result != nil {
		info.Results = &of.Result
	}
	return p.Log(ctx, info)
}
