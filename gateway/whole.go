//go:build !halfdoor_insecure_skip

package gateway

import (
	"context"
	"io"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// The steps that a build for test/bench can leave out (skip.go), whole.

// skipping is nothing.
type skipping struct{}

func (c *call) authenticate(ctx context.Context, shown auth.Request) (*auth.Caller, error) {
	return c.gen.auth.Authenticate(ctx, shown)
}

func (c *call) decide(ctx context.Context, e errand, req *fhir.Request) (*policies.Decision, error) {
	return c.consult(ctx, c.input(e, req))
}

// stream is the filter.
func (d *disclosure) stream(src io.Reader, o transforms.Options) (transforms.Report, error) {
	return d.ask.dec.Plan.Filter(d, src, o)
}

// unrecorded says whether nothing is recorded.
func (c *call) unrecorded() bool { return false }
