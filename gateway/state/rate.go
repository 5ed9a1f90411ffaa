package state

import (
	"maps"
	"sync"
	"time"
)

// RateOptions are of a Rate.
type RateOptions struct {
	Keys int              // held at most; default 100,000
	Now  func() time.Time // default time.Now
}

// A Rate is a token bucket for each key: as many calls at once as a minute allows, and then as
// many as the minute brings back, evenly. Keys beyond those that it can hold share one bucket, so that
// someone with many addresses gains none by them.
type Rate struct {
	now  func() time.Time
	keys int

	mu    sync.Mutex
	full  map[string]int64 // key -> when its bucket is full again, in Unix nanoseconds
	rest  int64            // the same, of all keys that are not held
	swept int64
}

// NewRate makes a Rate whose buckets are all full.
func NewRate(o RateOptions) *Rate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keys == 0 {
		o.Keys = 100_000
	}
	return &Rate{now: o.Now, keys: o.Keys, full: map[string]int64{}}
}

// Take takes one call from a key's bucket of perMinute calls. wait is zero where there was one,
// and otherwise how long it takes until there is.
func (r *Rate) Take(key string, perMinute int) (wait time.Duration) {
	now := r.now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	at, held := r.full[key]
	if !held && len(r.full) >= r.keys {
		r.sweep(now)
	}
	shared := !held && len(r.full) >= r.keys
	if shared {
		at = r.rest
	}
	// The generic cell rate algorithm: one moment stands for the bucket's level.
	next := max(at, now) + int64(time.Minute)/int64(perMinute)
	if wait := next - int64(time.Minute) - now; wait > 0 {
		return time.Duration(wait)
	}
	if shared {
		r.rest = next
	} else {
		r.full[key] = next
	}
	return 0
}

// sweep forgets full buckets, at most once a second.
func (r *Rate) sweep(now int64) {
	if now-r.swept < int64(time.Second) {
		return
	}
	r.swept = now
	maps.DeleteFunc(r.full, func(_ string, at int64) bool { return at <= now })
}
