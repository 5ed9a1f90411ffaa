//go:build halfdoor_insecure_skip

package gateway

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// InsecureSkip takes steps out of the path, so that test/bench can measure what each of them costs. A gateway that
// skips anything keeps none of its promises, and serves made-up data on loopback: that is the only place where it is
// safe. So it is compiled for that benchmark alone, by a build tag with which the command itself does not build, and no
// setting, flag or variable of the environment leads to it. whole.go has the same steps as every other build has them.
type InsecureSkip struct {
	Authentication bool // whoever was let in first is who calls
	Policy         bool // the first decision on a type and interaction is the decision
	Filter         bool // the EHR's answer leaves as it is
	Tokens         bool // ids leave as they are
	Log            bool // nothing is recorded, and nobody counted
}

// skipping is what a gateway that skips something remembers. Of any other gateway it is empty.
type skipping struct{ *skips }

type skips struct {
	InsecureSkip
	mu        sync.Mutex
	caller    *auth.Caller
	decisions map[[2]string]*policies.Decision
}

// NewSkipping is New, for a gateway that leaves steps out.
func NewSkipping(o Options, skip InsecureSkip) (*Gateway, error) {
	g, err := New(o)
	if err != nil {
		return nil, err
	}
	g.skip.skips = &skips{InsecureSkip: skip, decisions: map[[2]string]*policies.Decision{}}
	return g, nil
}

func (c *call) authenticate(ctx context.Context, shown auth.Request) (*auth.Caller, error) {
	s := c.g.skip.skips
	if s == nil || !s.Authentication {
		return c.gen.auth.Authenticate(ctx, shown)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.caller == nil {
		s.caller, err = c.gen.auth.Authenticate(ctx, shown)
	}
	return s.caller, err
}

func (c *call) decide(ctx context.Context, e errand, req *fhir.Request) (*policies.Decision, error) {
	s := c.g.skip.skips
	if s == nil || !s.Policy {
		return c.consult(ctx, c.input(e, req))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{string(req.Interaction), req.Type}
	var err error
	if s.decisions[key] == nil {
		s.decisions[key], err = c.consult(ctx, c.input(e, req))
	}
	return s.decisions[key], err
}

// stream is the filter.
func (d *disclosure) stream(src io.Reader, o transforms.Options) (transforms.Report, error) {
	s := d.g.skip.skips
	switch {
	case s == nil:
	case s.Filter:
		return pass(d, src, o.Window)
	case s.Tokens:
		o.Tokens = plain{}
	}
	return d.ask.dec.Plan.Filter(d, src, o)
}

// pass releases what it reads.
func pass(dst transforms.Sink, src io.Reader, window int) (transforms.Report, error) {
	var report transforms.Report
	buf := make([]byte, window)
	for {
		n, err := io.ReadFull(src, buf)
		report.BytesIn += int64(n)
		report.BytesOut += int64(n)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return report, err
		}
		if err := dst.Release(&transforms.Window{Body: buf[:n], Last: last, Report: &report}); err != nil || last {
			return report, err
		}
	}
}

// plain makes an id its own token.
type plain struct{}

// AppendToken appends the id.
func (plain) AppendToken(dst []byte, _ string, id []byte) ([]byte, error) {
	return append(dst, id...), nil
}

// unrecorded says whether nothing is recorded.
func (c *call) unrecorded() bool { return c.g.skip.skips != nil && c.g.skip.Log }
