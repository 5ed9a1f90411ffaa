package upstream

import (
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// Breaker says when an address is given a rest: once so many percent of the calls within a time have failed. After the
// rest, as many calls as trials are let through; one that fails gives it another, and when all are answered it is over.
//
// A call fails where there is no connection, no answer in time or one that is cut, a status of 500 and above (but 501), or
// something that is not FHIR over HTTP. What an answer says of the call (4xx) is none, nor is a call that its caller ends, nor a wait for a connection that others hold.
type Breaker struct {
	Calls   int           // within which there can be a verdict; at least 1
	Percent int           // of them that fail; from 1 to 100
	Within  time.Duration // that the calls are counted
	Rest    time.Duration // after which trials begin
}

func (b *Breaker) check(problem func(string, ...any)) {
	if b.Calls < 1 || b.Percent < 1 || b.Percent > 100 || b.Within <= 0 || b.Rest <= 0 {
		problem("Breaker needs Calls, Within and Rest, and a Percent from 1 to 100")
	}
}

// State is what a breaker does with calls.
type State string

// The states of a breaker.
const (
	Closed   State = "closed"    // they pass
	HalfOpen State = "half-open" // a few do, as trials
	Opened   State = "open"      // none does
)

const (
	trials      = 2           // that have to be answered after a rest
	longestRest = time.Minute // that a server can ask for by Retry-After: it may not be its own word
)

// breaker keeps calls from an address that fails, and from one that asks to be left alone.
//
// The policy is failsafe-go's. What it does not know is a call without a verdict: its permit goes to the next one. Nor does
// it tell apart what was asked before its state changed, whose verdict says nothing of now.
type breaker struct {
	policy circuitbreaker.CircuitBreaker[any] // nil: it never opens

	mu    sync.Mutex // held in each use of policy
	era   uint64     // counts the changes of state
	spare int        // trials of this era that came to no verdict
	until time.Time  // the server asks to be left alone
}

func newBreaker(o *Breaker, changed func(from, to State)) *breaker {
	b := &breaker{}
	if o == nil {
		return b
	}
	b.policy = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(float64(o.Percent)/100, uint(o.Calls), o.Within).
		WithSuccessThreshold(trials).
		WithDelay(o.Rest).
		WithJitterFactor(0.1). // so that replicas do not try all at once
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			b.era++
			b.spare = 0
			changed(stateOf(e.OldState), stateOf(e.NewState))
		}).Build()
	return b
}

func stateOf(s circuitbreaker.State) State {
	switch s {
	case circuitbreaker.OpenState:
		return Opened
	case circuitbreaker.HalfOpenState:
		return HalfOpen
	}
	return Closed
}

// state is what happens to calls, and for how long none passes.
func (b *breaker) state() (State, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := max(0, time.Until(b.until))
	if b.policy == nil {
		return Closed, rest
	}
	return stateOf(b.policy.State()), max(rest, b.policy.RemainingDelay())
}

// permit is of one call.
type permit struct{ era uint64 }

// enter lets a call pass, or says by its kind why not, and when to come back.
func (b *breaker) enter() (permit, *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rest := time.Until(b.until); rest > 0 {
		return permit{}, &Error{Kind: Resting, Reason: "it asked to be left alone", RetryAfter: rest}
	}
	if b.policy == nil {
		return permit{}, nil
	}
	if b.spare > 0 {
		b.spare--
		return permit{b.era}, nil
	}
	if !b.policy.TryAcquirePermit() {
		return permit{}, &Error{Kind: BreakerOpen, Reason: "it has failed too often", RetryAfter: b.policy.RemainingDelay()}
	}
	return permit{b.era}, nil
}

// verdict is what a call says of the server.
type verdict uint8

const (
	none verdict = iota // nothing
	good
	bad
)

// leave counts a call. Each one that entered leaves once.
func (b *breaker) leave(p permit, v verdict) {
	if b.policy == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.era != b.era:
	case v == good:
		b.policy.RecordSuccess()
	case v == bad:
		b.policy.RecordFailure()
	case b.policy.IsHalfOpen():
		b.spare++
	}
}

// rest keeps calls away for as long as the server asks, which is bounded.
func (b *breaker) rest(d time.Duration) {
	if d <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(min(d, longestRest)); until.After(b.until) {
		b.until = until
	}
}

// verdictOf is what an answer's header, or the want of one, says of the server.
func verdictOf(status int, failed *Error) verdict {
	if failed == nil {
		if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
			return bad
		}
		return good
	}
	switch failed.Kind {
	case Canceled, Invalid, Full:
		return none
	case Timeout:
		if failed.late {
			return none
		}
	case Refused, CallerRefused, TooLarge:
		return good // it answered
	}
	return bad
}

// spoils says whether a body that broke is the server's fault. That it took too long in all may be its reader's.
func (e *Error) spoils() bool {
	return e.Kind == Cut || e.Kind == Malformed || e.Kind == Timeout && !e.late && e.Reason != errTotal.Error()
}
