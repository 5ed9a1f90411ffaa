package gateway

import (
	"context"
	"runtime"
	rtmetrics "runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// What keeps one caller, or too many, from the others. A call passes, in this order:
//
//   - memory: where what is in use comes near to the limit of the process, no further call begins;
//   - the room: so many calls are under way at once. A few more wait for one that ends, first come, first served, and not
//     for long, since whoever has to wait longer is better told so;
//   - the client's own seats, once it is known who calls: nobody else waits for a client that takes its answers slowly, or
//     asks an EHR that is slow. Here nobody waits: a call that did would keep a seat of the room.
//
// Each answers 503 or 429 with Retry-After, and leaves a record.

// room bounds the calls that are under way.
type room struct {
	seats chan struct{}
	queue chan struct{} // of those that wait for a seat
}

// queueShare is how many calls may be under way for each that may wait.
const queueShare = 8

func newRoom(n int) *room {
	return &room{seats: make(chan struct{}, n), queue: make(chan struct{}, max(1, n/queueShare))}
}

// enter takes a seat, waiting for no longer than patience.
func (r *room) enter(ctx context.Context, patience time.Duration) bool {
	select {
	case r.seats <- struct{}{}:
		return true
	default:
	}
	if patience == 0 {
		return false
	}
	select {
	case r.queue <- struct{}{}:
	default:
		return false
	}
	defer func() { <-r.queue }()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case r.seats <- struct{}{}:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

func (r *room) leave() { <-r.seats }

// seats are the calls under way of each client.
type seats struct {
	mu    sync.Mutex
	taken map[clientKey]int // those that have any
}

// sit takes a seat of a client that may have so many; 0 is no limit.
func (s *seats) sit(k clientKey, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.taken[k] >= most {
		return false
	}
	if s.taken == nil {
		s.taken = map[clientKey]int{}
	}
	s.taken[k]++
	return true
}

func (s *seats) rise(k clientKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[k]--; s.taken[k] == 0 {
		delete(s.taken, k)
	}
}

// sit takes a seat of the caller's client, until the call ends.
func (c *call) sit(caller *auth.Caller) (rise func(), err error) {
	k := clientKey{caller.Issuer, caller.ClientID}
	if !c.g.seats.sit(k, c.gen.quotas(k).together) {
		return nil, tooMany("client-busy", time.Second)
	}
	return func() { c.g.seats.rise(k) }, nil
}

// Usage is what the process has in use of its memory, and its limit, both in bytes; no limit is math.MaxInt64.
type Usage func() (used, limit int64)

// inUse is what the last collection of garbage left, with the goroutines' stacks. What has become garbage since does not
// count: the runtime lets it grow up to the limit, and then collects.
func inUse() (used, limit int64) {
	s := [...]rtmetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/gc/gomemlimit:bytes"}}
	rtmetrics.Read(s[:])
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64()), int64(s[2].Value.Uint64())
}

// pressure says whether memory is short.
type pressure struct {
	usage      Usage
	next       atomic.Int64 // when it is looked at again, in nanoseconds
	high       atomic.Bool
	collecting atomic.Bool
}

const (
	pressurePeriod = 20 * time.Millisecond
	pressureShare  = 80 // percent of the limit
)

// short is what was found within the last period. Where it is so, a collection finds out whether that is over, as
// calls that are refused make no garbage that would begin one.
func (p *pressure) short() bool {
	now := time.Now().UnixNano() // as memory goes by the real clock
	if next := p.next.Load(); now >= next && p.next.CompareAndSwap(next, now+int64(pressurePeriod)) {
		used, limit := p.usage()
		p.high.Store(used > limit/100*pressureShare)
	}
	if !p.high.Load() {
		return false
	}
	if !p.collecting.Swap(true) {
		go func() {
			runtime.GC()
			p.collecting.Store(false)
		}()
	}
	return true
}
