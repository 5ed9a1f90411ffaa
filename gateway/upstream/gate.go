package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
)

// Load bounds what one server is asked, and how long a call waits for its turn.
type Load struct {
	// Requests is how many may be under way at once, each until its answer's body has ended. Default 64.
	Requests int
	// Queue is how many calls may wait for their turn. Those beyond are refused at once. Default 0.
	Queue int
	// Wait is how long one may. Default 0.
	Wait time.Duration
	// PerSecond is how many requests are begun in a second, in the mean. Default 0: any number.
	PerSecond int
	// Burst is how many may be begun at once. Default PerSecond.
	Burst int
}

// check fills in the defaults.
func (l *Load) check(problem func(string, ...any)) {
	if l.Requests < 0 || l.Queue < 0 || l.Wait < 0 || l.PerSecond < 0 || l.Burst < 0 {
		problem("Load must not have negative members")
	}
	if l.Requests == 0 {
		l.Requests = 64
	}
	if l.Burst == 0 {
		l.Burst = l.PerSecond
	}
}

// gate lets requests to one server through, so that a server which hangs holds no more than its share of the gateway.
type gate struct {
	load    Load
	seats   bulkhead.Bulkhead[any]
	rate    ratelimiter.RateLimiter[any] // nil: any
	seated  atomic.Int64
	waiting atomic.Int64
}

func newGate(l Load) *gate {
	g := &gate{load: l, seats: bulkhead.New[any](uint(l.Requests))}
	if l.PerSecond > 0 {
		g.rate = ratelimiter.NewBursty[any](uint(l.Burst), time.Duration(l.Burst)*time.Second/time.Duration(l.PerSecond))
	}
	return g
}

// enter waits for a turn and returns how it ends, or why there is none.
func (g *gate) enter(ctx context.Context) (leave func(), failed *Error) {
	paced := g.rate == nil || g.rate.TryAcquirePermit()
	if !paced || !g.seats.TryAcquirePermit() {
		if failed := g.wait(ctx, paced); failed != nil {
			return nil, failed
		}
	}
	g.seated.Add(1)
	return func() {
		g.seated.Add(-1)
		g.seats.ReleasePermit()
	}, nil
}

// wait queues for what a call lacks. An error without a kind is the context's.
func (g *gate) wait(ctx context.Context, paced bool) *Error {
	full := &Error{Kind: Full, Reason: "it has as many requests as it is given at once", RetryAfter: time.Second}
	fast := &Error{Kind: Full, Reason: "it has as many requests as it is given in a second", RetryAfter: time.Second}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > int64(g.load.Queue) {
		if !paced {
			return fast
		}
		return full
	}
	end := time.Now().Add(g.load.Wait)
	if !paced {
		if err := g.rate.AcquirePermitWithMaxWait(ctx, g.load.Wait); errors.Is(err, ratelimiter.ErrExceeded) {
			return fast
		} else if err != nil {
			return &Error{}
		}
	}
	if err := g.seats.AcquirePermitWithMaxWait(ctx, max(0, time.Until(end))); errors.Is(err, bulkhead.ErrFull) {
		return full
	} else if err != nil {
		return &Error{}
	}
	return nil
}
