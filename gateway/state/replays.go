package state

import (
	"crypto/sha256"
	"sync"
	"time"
)

// ReplaysOptions are of Replays.
type ReplaysOptions struct {
	// Entries is how many are held at most; default 500,000, which are about 50 MB. One owner may have a quarter of them.
	Entries int
	Now     func() time.Time // default time.Now
}

// Replays remembers what may be used only once, by its hash, for as long as it could be used again. It lives as long as the
// process and in it alone: another replica does not know what was used here.
type Replays struct {
	o ReplaysOptions

	mu     sync.Mutex
	used   map[[sha256.Size]byte]use
	owners map[string]int // how many each has
	swept  time.Time
}

type use struct {
	owner string
	ends  time.Time
}

// NewReplays makes an empty Replays.
func NewReplays(o ReplaysOptions) *Replays {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entries == 0 {
		o.Entries = 500_000
	}
	return &Replays{o: o, used: map[[sha256.Size]byte]use{}, owners: map[string]int{}}
}

// Use tells whether this is the first use of what has the hash, and remembers it until then. The error is ErrFull: nobody can
// know any more.
func (s *Replays) Use(owner string, hash [sha256.Size]byte, until time.Time) (first bool, err error) {
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.used[hash]; ok {
		if now.Before(u.ends) {
			return false, nil
		}
		s.drop(hash)
	}
	if s.full(owner) {
		if s.sweep(now); s.full(owner) {
			return false, ErrFull
		}
	}
	s.used[hash] = use{owner, until}
	s.owners[owner]++
	return true, nil
}

func (s *Replays) full(owner string) bool {
	return len(s.used) >= s.o.Entries || s.owners[owner] >= max(1, s.o.Entries/4)
}

// sweep drops what has ended, at most once a second: a store that stays full must not cost each call a walk through it.
func (s *Replays) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Second {
		return
	}
	s.swept = now
	for hash, u := range s.used {
		if !now.Before(u.ends) {
			s.drop(hash)
		}
	}
}

func (s *Replays) drop(hash [sha256.Size]byte) {
	u := s.used[hash]
	delete(s.used, hash)
	if s.owners[u.owner]--; s.owners[u.owner] == 0 {
		delete(s.owners, u.owner)
	}
}
