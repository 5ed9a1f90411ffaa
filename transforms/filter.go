package transforms

import (
	"errors"
	"io"
)

type filter struct{}

func newFilter(*Plan) *filter { return &filter{} }

func validate([]byte) error { return nil }

// Filter streams src through the plan to dst.
func (p *Plan) Filter(dst Sink, src io.Reader, o Options) (Report, error) {
	return Report{}, &Error{Kind: ErrSyntax, err: errors.ErrUnsupported}
}
