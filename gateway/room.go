package gateway

import (
	"context"
	"io"
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
//     asks an EHR that is slow. Here nobody waits: a call that did would keep a seat of the room;
//   - the client's share of the bodies that calls hold, for a client that sends them slowly (body.go);
//   - memory once more, with each piece that is read of a body or of an EHR's answer: calls that were let in together may
//     come to hold more than was left. Where the limit is near, whoever would hold more has to go.
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

// seats are what each client has under way.
type seats struct {
	mu    sync.Mutex
	taken map[clientKey]share // those that have anything
}

// share is what one client has.
type share struct {
	calls  int
	bodies int64 // bytes, of its requests
}

// sit takes a seat of a client that may have so many; 0 is no limit.
func (s *seats) sit(k clientKey, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.taken[k].calls >= most {
		return false
	}
	s.change(k, 1, 0)
	return true
}

func (s *seats) rise(k clientKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(k, -1, 0)
}

// hold counts bytes of bodies, of which a client may have so many; fewer it may always have.
func (s *seats) hold(k clientKey, n, most int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && s.taken[k].bodies+n > most {
		return false
	}
	s.change(k, 0, n)
	return true
}

func (s *seats) change(k clientKey, calls int, bodies int64) {
	if s.taken == nil {
		s.taken = map[clientKey]share{}
	}
	h := s.taken[k]
	h.calls, h.bodies = h.calls+calls, h.bodies+bodies
	if s.taken[k] = h; h == (share{}) {
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
	high, dire atomic.Bool
	collecting atomic.Bool
}

const (
	pressurePeriod = 20 * time.Millisecond
	pressureShare  = 80 // percent of the limit: no further call begins
	direShare      = 90 // no call may hold more
)

// look finds out how it is, unless that was done within the last period. Where memory is short, a collection finds out
// whether that is over, as calls that are refused make no garbage that would begin one.
func (p *pressure) look() {
	now := time.Now().UnixNano() // as memory goes by the real clock
	if next := p.next.Load(); now >= next && p.next.CompareAndSwap(next, now+int64(pressurePeriod)) {
		used, limit := p.usage()
		p.high.Store(used > limit/100*pressureShare)
		p.dire.Store(used > limit/100*direShare)
	}
	if p.high.Load() && !p.collecting.Swap(true) {
		go func() {
			runtime.GC()
			p.collecting.Store(false)
		}()
	}
}

// short says whether no further call may begin.
func (p *pressure) short() bool {
	p.look()
	return p.high.Load()
}

// sparing is a body of which nothing more is taken while memory is about to end.
type sparing struct {
	io.ReadCloser
	memory *pressure
}

func (s *sparing) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if s.memory.look(); s.memory.dire.Load() {
		return 0, refusal("overloaded")
	}
	return n, err
}
