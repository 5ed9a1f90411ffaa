package upstream

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstBackoff = 100 * time.Millisecond // doubled by each further one
	mostBackoff  = 2 * time.Second
)

// persist asks, and asks again for a read that got no answer, or one that it is worth waiting behind. Nothing of an answer
// has been handed on by then. A write is asked for once.
//
// It never waits for longer than the call has: rather than into the deadline, it then goes back with what there is.
func (e *EHR) persist(ctx context.Context, out *outgoing) (*Response, *Error) {
	end := time.Now().Add(e.o.TotalTimeout)
	if at, ok := ctx.Deadline(); ok && at.Before(end) {
		end = at
	}
	for n := 0; ; n++ {
		resp, failed := e.ask(ctx, out)
		if out.call.writes() || n >= e.o.Retries || ctx.Err() != nil {
			return resp, failed
		}
		wait, worth := e.patience(n, resp, failed)
		if !worth || time.Now().Add(wait).After(end) {
			return resp, failed
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
		e.pause(ctx, wait)
		if stopped := e.stopped(ctx); stopped != nil {
			return nil, stopped
		}
	}
}

// patience is how long to wait before asking again, and whether that is worth it: not behind what would be the same again,
// and not where the EHR wants to be left alone for longer than an answer may take.
func (e *EHR) patience(n int, resp *Response, failed *Error) (time.Duration, bool) {
	wait := min(firstBackoff<<min(n, 10), mostBackoff)
	wait = wait/2 + rand.N(wait/2+1) // so that those who failed together do not come back together
	switch {
	case failed != nil && failed.Kind == Resting:
		wait = max(wait, failed.RetryAfter)
		return wait, wait <= e.o.HeaderTimeout
	case failed != nil:
		return wait, failed.Kind == Unreachable || failed.Kind == Cut
	}
	switch resp.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		wait = max(wait, e.wanted(resp.RetryAfter))
		return wait, wait <= e.o.HeaderTimeout
	}
	return 0, false
}

// wanted is what a Retry-After asks for (RFC 9110, section 10.2.3).
func (e *EHR) wanted(after string) time.Duration {
	if seconds, err := strconv.Atoi(after); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil {
		return at.Sub(e.o.Now())
	}
	return 0
}

// pause waits, but no longer than the call goes on.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
