package state

import (
	"sync"
	"time"
)

// openingRest is how long after its end what was opened stays shut.
const openingRest = 12 * time.Hour

// Opening is for how long something is open.
type Opening struct{ Opened, Expires time.Time }

// OpeningsOptions are of Openings.
type OpeningsOptions struct {
	// Entries is how many are remembered at most, each for its own time and twelve hours more; default 10,000. One owner
	// may have a hundredth of them, so that nobody takes the room that others need in an emergency.
	Entries int
	Now     func() time.Time // default time.Now
}

// Openings remembers what was opened for a while, as emergency access is: it closes by itself, and stays shut for twelve
// hours, so that nobody keeps it open by asking again. It lives as long as the process; a restart forgets.
type Openings struct {
	now     func() time.Time
	entries int

	mu     sync.Mutex
	held   map[opened]Opening
	owners map[string]int // how many each has
}

type opened struct{ owner, key string }

// NewOpenings makes an empty Openings.
func NewOpenings(o OpeningsOptions) *Openings {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entries == 0 {
		o.Entries = 10_000
	}
	return &Openings{now: o.Now, entries: o.Entries, held: map[opened]Opening{}, owners: map[string]int{}}
}

// Open opens what the key names to its owner for so long, where it is not open or shut already, and returns when that was and
// when it ends, or ended: whoever asks compares the end with the clock. first says that this call opened it. The error is
// ErrFull.
func (o *Openings) Open(owner, key string, life time.Duration) (at Opening, first bool, err error) {
	now, it := o.now(), opened{owner, key}
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.held[it]; ok {
		if now.Before(at.Expires.Add(openingRest)) {
			return at, false, nil
		}
		o.drop(it)
	}
	if o.full(owner) {
		for other, at := range o.held {
			if !now.Before(at.Expires.Add(openingRest)) {
				o.drop(other)
			}
		}
		if o.full(owner) {
			return Opening{}, false, ErrFull
		}
	}
	at = Opening{now, now.Add(life)}
	o.held[it] = at
	o.owners[owner]++
	return at, true, nil
}

func (o *Openings) full(owner string) bool {
	return len(o.held) >= o.entries || o.owners[owner] >= max(1, o.entries/100)
}

func (o *Openings) drop(it opened) {
	delete(o.held, it)
	if o.owners[it.owner]--; o.owners[it.owner] == 0 {
		delete(o.owners, it.owner)
	}
}
