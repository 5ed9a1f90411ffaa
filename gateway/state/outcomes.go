package state

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

var (
	// ErrOther says that a key was used for another request.
	ErrOther = errors.New("the key was used for another request")
	// ErrUnderWay says that the first request of a key has no outcome yet.
	ErrUnderWay = errors.New("the first request of the key is under way")
)

// OutcomesOptions are of Outcomes.
type OutcomesOptions struct {
	// Entries is how many outcomes are held at most; default 20,000. One owner may have a quarter of them.
	Entries int
	// Bytes is how much the outcomes may take together before nobody can begin another; default 64 MiB.
	Bytes int
	// Life is how long an outcome is held; default 24 hours.
	Life time.Duration
	Now  func() time.Time // default time.Now
}

// Outcomes holds what each write that came with an Idempotency-Key came to, so that a retry is answered
// with it and the EHR is not asked a second time. An outcome is whatever the gateway makes of an answer: it may hold what the
// client was told, so it is never written anywhere.
//
// It lives as long as the process and in it alone: after a restart, and at another replica, a retry is a first request. There,
// If-Match and If-None-Exist, which the EHR itself keeps to, still hold an update and a create to once.
type Outcomes struct {
	o OutcomesOptions

	mu     sync.Mutex
	held   map[[sha256.Size]byte]*outcome
	owners map[string]int // how many each has
	bytes  int
	swept  time.Time
}

type outcome struct {
	owner   string
	request [sha256.Size]byte
	settled bool
	body    []byte
	ends    time.Time // where it is settled
}

// NewOutcomes makes an empty Outcomes.
func NewOutcomes(o OutcomesOptions) *Outcomes {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entries == 0 {
		o.Entries = 20_000
	}
	if o.Bytes == 0 {
		o.Bytes = 64 << 20
	}
	if o.Life == 0 {
		o.Life = 24 * time.Hour
	}
	return &Outcomes{o: o, held: map[[sha256.Size]byte]*outcome{}, owners: map[string]int{}}
}

// Claim begins the write of an owner's key, or returns what the first one came to. The request is known by its
// hash. The error is ErrOther, ErrUnderWay or ErrFull. Who is given a claim has to end it, by Settle or Release.
func (s *Outcomes) Claim(owner, key string, request [sha256.Size]byte) (first []byte, claim *Claim, err error) {
	name := sha256.Sum256([]byte(owner + "\x00" + key)) // neither holds a NUL, and a key may be as long as it likes
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if had := s.held[name]; had != nil {
		switch {
		case had.settled && !now.Before(had.ends):
			s.drop(name)
		case had.request != request:
			return nil, nil, ErrOther
		case !had.settled:
			return nil, nil, ErrUnderWay
		default:
			return had.body, nil, nil
		}
	}
	if s.full(owner) {
		if s.sweep(now); s.full(owner) {
			return nil, nil, ErrFull
		}
	}
	s.held[name] = &outcome{owner: owner, request: request}
	s.owners[owner]++
	return nil, &Claim{s: s, name: name}, nil
}

func (s *Outcomes) full(owner string) bool {
	return len(s.held) >= s.o.Entries || s.bytes >= s.o.Bytes || s.owners[owner] >= max(1, s.o.Entries/4)
}

// sweep drops what has ended, at most once a second: a store that stays full must not cost each call a walk through it.
func (s *Outcomes) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Second {
		return
	}
	s.swept = now
	for name, o := range s.held {
		if o.settled && !now.Before(o.ends) {
			s.drop(name)
		}
	}
}

func (s *Outcomes) drop(name [sha256.Size]byte) {
	o := s.held[name]
	delete(s.held, name)
	s.bytes -= len(o.body)
	if s.owners[o.owner]--; s.owners[o.owner] == 0 {
		delete(s.owners, o.owner)
	}
}

// A Claim is the right to carry a write out. Until it ends, every other claim to its key is refused.
type Claim struct {
	s     *Outcomes
	name  [sha256.Size]byte
	ended bool
}

// Settle ends the claim with an outcome, which every retry is given. It keeps the slice.
func (c *Claim) Settle(body []byte) {
	c.end(func(o *outcome) {
		o.settled, o.body, o.ends = true, body, c.s.o.Now().Add(c.s.o.Life)
		c.s.bytes += len(body)
	})
}

// Release ends the claim of a write that was not carried out, so that a retry is a first request. After Settle it does nothing.
func (c *Claim) Release() { c.end(func(*outcome) { c.s.drop(c.name) }) }

func (c *Claim) end(f func(*outcome)) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.ended {
		c.ended = true
		f(c.s.held[c.name])
	}
}
