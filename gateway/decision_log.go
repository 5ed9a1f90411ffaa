package gateway

import (
	"context"

	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// consult asks the policies, and logs what they said where a security team wants it: OPA's decision log, which drops
// events when it is full. The access record is another thing, and does not go by it.
func (c *call) consult(ctx context.Context, in *policies.Input) (*policies.Decision, error) {
	dec, err := c.gen.policies.Decide(ctx, in)
	if err == nil {
		c.gen.shadow.compare(in, dec)
	}
	if d := c.g.delivery.Load(); d != nil && d.Logs() {
		if lost := d.Log(ctx, c.decision(in, dec, err)); lost != nil {
			c.g.metrics.undecided.Inc()
		}
	}
	return dec, err
}

// decision is what leaves of a decision: nothing that names a patient or an encounter.
func (c *call) decision(in *policies.Input, dec *policies.Decision, err error) delivery.Decision {
	told := *in
	told.Context.Patient, told.Context.Encounter = "", ""
	of := delivery.Decision{
		ID: c.ids.request, Path: "halfdoor/decision", Revision: c.gen.policies.Revision(), Err: err, Time: c.begun.UTC(),
	}
	if doc, unmade := told.Document(); unmade == nil {
		of.Input = doc
	}
	if dec != nil {
		obligations := make([]any, len(dec.Obligations))
		for i, o := range dec.Obligations {
			obligations[i] = string(o)
		}
		of.Result = map[string]any{
			"allow": dec.Allow, "dataset": dec.Dataset, "purpose": dec.Purpose, "break_glass": dec.BreakGlass, "obligations": obligations,
			"reason": map[string]any{"code": dec.Reason.Code, "text": dec.Reason.Text},
		}
	}
	return of
}
