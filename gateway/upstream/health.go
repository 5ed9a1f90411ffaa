package upstream

import "time"

// Health is what is known of the EHR by the calls that were made.
type Health struct {
	Requests  int64 // under way
	Waiting   int64 // calls that wait for their turn
	Addresses []AddressHealth
}

// AddressHealth is what is known of one address.
type AddressHealth struct {
	URL     string
	Breaker State
	Rest    time.Duration // for which nothing is sent there: by its breaker, or since it asked for that
	InUse   bool          // it answered last
}

// Health is of now.
func (e *EHR) Health() Health {
	h := Health{Requests: e.gate.seated.Load(), Waiting: e.gate.waiting.Load()}
	current := int(e.at.current.Load())
	for i, a := range e.at.all {
		state, rest := a.breaker.state()
		h.Addresses = append(h.Addresses, AddressHealth{URL: a.base.String(), Breaker: state, Rest: rest, InUse: i == current})
	}
	return h
}

// Failing says whether no address gets calls as it should: each one's breaker is open, or on trial.
func (h Health) Failing() bool {
	for _, a := range h.Addresses {
		if a.Breaker == Closed {
			return false
		}
	}
	return true
}
