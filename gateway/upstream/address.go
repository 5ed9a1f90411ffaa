package upstream

import (
	"context"
	"net/url"
	"sync/atomic"
)

// address is one of those at which the server answers.
type address struct {
	base    *url.URL // without trailing slash
	breaker *breaker
}

// addresses are all of them. Calls go to the same one as long as it answers: the machines behind several addresses may lag
// behind each other, and who hops between them may not see what was just written.
type addresses struct {
	all     []*address
	current atomic.Int32
}

// reach asks at the address that answered last, and at the others where that cannot be reached or is given a rest. What is
// sent twice is a read, or a write of which nothing can have been sent.
func (e *EHR) reach(ctx context.Context, out *outgoing) (*Response, *Error) {
	leave, failed := e.gate.enter(ctx)
	if failed != nil {
		if stopped := e.stopped(ctx); stopped != nil {
			return nil, stopped
		}
		failed.EHR = e.o.Name
		return nil, failed
	}
	first, all := out.at.current.Load(), out.at.all
	for n := range len(all) {
		at := (int(first) + n) % len(all)
		a := all[at]
		permit, closed := a.breaker.enter()
		if closed != nil {
			if failed == nil || failed.RetryAfter > closed.RetryAfter && failed.RetryAfter > 0 {
				failed = closed
				failed.EHR = e.o.Name
			}
			continue
		}
		var resp *Response
		if resp, failed = e.send(ctx, a, permit, out, leave); failed == nil {
			out.at.current.CompareAndSwap(first, int32(at))
			return resp, nil
		}
		if !failed.elsewhere(out.call) || ctx.Err() != nil {
			break
		}
	}
	leave()
	return nil, failed
}

// elsewhere says whether another address may do better, and may be asked.
func (e *Error) elsewhere(c *Call) bool {
	return e.unconnected && !(c.writes() && e.Sent)
}
