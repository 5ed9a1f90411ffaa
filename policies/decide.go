package policies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Why there is no decision. Each refuses the call.
var (
	ErrUndefined = errors.New("the policy says nothing about this call")
	ErrBudget    = errors.New("the policy took too long")
	ErrFailed    = errors.New("the policy failed")
	ErrShape     = errors.New("the policy's decision cannot be understood")
	ErrDataset   = errors.New("the policy names a dataset that the bundle does not have")
)

// Decide asks the policy about one call. An error means that there is no decision, and refuses. It is one of the
// sentinels above, with a place in the policy and never with what the policy was told, or the error of ctx.
//
// The decision may be another call's as well, with which it shares everything that the policy reads: it is not to be changed.
func (e *Engine) Decide(ctx context.Context, in *Input) (*Decision, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.cache == nil {
		e.evaluated.Add(1)
		return e.decide(ctx, in)
	}
	var room [256]byte
	key := e.reads.key(room[:0], in)
	if d := e.cache.get(key); d != nil {
		e.remembered.Add(1)
		return d, nil
	}
	e.evaluated.Add(1)
	d, err := e.decide(ctx, in)
	if err == nil { // a failure is told anew: it may pass
		e.cache.put(key, d)
	}
	return d, err
}

// decide runs the rules.
func (e *Engine) decide(ctx context.Context, in *Input) (*Decision, error) {
	value, err := e.evaluate(ctx, in)
	if err != nil {
		return nil, err
	}
	d, wrong := parseDecision(value)
	if wrong != "" {
		return nil, fmt.Errorf("%w: %s", ErrShape, wrong)
	}
	if d.Dataset != "" {
		plan, ok := e.plans[d.Dataset]
		if !ok {
			return nil, ErrDataset
		}
		if d.Allow {
			d.Plan = plan
		}
	}
	d.Revision = e.revision
	return d, nil
}

// evaluate runs the query within the budget.
func (e *Engine) evaluate(ctx context.Context, in *Input) (ast.Value, error) {
	// One timer, in place of a goroutine that watches a context with a deadline.
	cancel := topdown.NewCancel()
	timer := time.AfterFunc(e.budget, cancel.Cancel)
	defer timer.Stop()
	defer context.AfterFunc(ctx, cancel.Cancel)()

	values, err := e.question.ask(ctx, in.value(), cancel)
	switch {
	case topdown.IsCancel(err):
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: more than %v", ErrBudget, e.budget)
	case err != nil:
		return nil, failure(err)
	case len(values) == 0:
		return nil, ErrUndefined
	case len(values) > 1:
		return nil, fmt.Errorf("%w: %s has several values", ErrShape, entryPoint)
	}
	return values[0], nil
}

// failure keeps where a policy failed. What OPA says of a built-in quotes its operands, which may be a patient's.
func failure(err error) error {
	var e *topdown.Error
	if !errors.As(err, &e) {
		return ErrFailed
	}
	where := ""
	if e.Location != nil {
		where = " at " + place(e.Location.File, e.Location.Row)
	}
	switch e.Code {
	case topdown.ConflictErr:
		return fmt.Errorf("%w: a rule yields two values%s", ErrFailed, where)
	case topdown.BuiltinErr, topdown.TypeErr:
		return fmt.Errorf("%w: a built-in function failed%s", ErrFailed, where)
	}
	return fmt.Errorf("%w: %s%s", ErrFailed, e.Code, where)
}
