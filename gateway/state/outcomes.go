package state

import (
	"crypto/sha256"
	"errors"
	"strconv"
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

// Key names a write: what its client called it.
type Key struct{ Owner, Name string }

func (k Key) sum() [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.Itoa(len(k.Owner)) + " " + k.Owner + k.Name)) // a name may be as long as it likes
}

// Claim begins the write of a key, and had is false then; or it returns what the first write of the key came to. The request is
// known by its hash. The error is ErrOther, ErrUnderWay or ErrFull. Who has begun a write has to end it, by Settle or
// Release, once; until then every other claim is refused.
func (s *Outcomes) Claim(k Key, request [sha256.Size]byte) (first []byte, had bool, err error) {
	name, now := k.sum(), s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.held[name]; o != nil {
		switch {
		case o.settled && !now.Before(o.ends):
			s.drop(name)
		case o.request != request:
			return nil, false, ErrOther
		case !o.settled:
			return nil, false, ErrUnderWay
		default:
			return o.body, true, nil
		}
	}
	if s.full(k.Owner) {
		if s.sweep(now); s.full(k.Owner) {
			return nil, false, ErrFull
		}
	}
	s.held[name] = &outcome{owner: k.Owner, request: request}
	s.owners[k.Owner]++
	return nil, false, nil
}

// Settle ends a claim with an outcome, which every retry is given. It keeps the slice.
func (s *Outcomes) Settle(k Key, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.held[k.sum()]; o != nil && !o.settled {
		o.settled, o.body, o.ends = true, body, s.o.Now().Add(s.o.Life)
		s.bytes += len(body)
	}
}

// Release ends the claim of a write that was not carried out, so that a retry is a first request.
func (s *Outcomes) Release(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := k.sum(); s.held[name] != nil && !s.held[name].settled {
		s.drop(name)
	}
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
