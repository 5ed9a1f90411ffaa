package state

import (
	"maps"
	"sync"
	"time"
)

// openingRest is how long after its end what was opened stays shut.
const openingRest = 12 * time.Hour

// Opening is for how long something is open.
type Opening struct{ Opened, Expires time.Time }

// OpeningsOptions are of Openings.
type OpeningsOptions struct {
	// Entries is how many are remembered at most, each for its own time and twelve hours more; default 10,000.
	Entries int
	Now     func() time.Time // default time.Now
}

// Openings remembers what was opened for a while, as emergency access is: it closes by itself, and stays shut for twelve
// hours, so that nobody keeps it open by asking again. It lives as long as the process; a restart forgets.
type Openings struct {
	now     func() time.Time
	entries int

	mu   sync.Mutex
	held map[string]Opening
}

// NewOpenings makes an empty Openings.
func NewOpenings(o OpeningsOptions) *Openings {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entries == 0 {
		o.Entries = 10_000
	}
	return &Openings{now: o.Now, entries: o.Entries, held: map[string]Opening{}}
}

// Open opens what the key names for so long, where it is not open or shut already, and returns when that was and when it
// ends, or ended: whoever asks compares the end with the clock. first says that this call opened it. The error is ErrFull.
func (o *Openings) Open(key string, life time.Duration) (at Opening, first bool, err error) {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.held[key]; ok && now.Before(at.Expires.Add(openingRest)) {
		return at, false, nil
	}
	if len(o.held) >= o.entries {
		maps.DeleteFunc(o.held, func(_ string, at Opening) bool { return !now.Before(at.Expires.Add(openingRest)) })
		if len(o.held) >= o.entries {
			return Opening{}, false, ErrFull
		}
	}
	at = Opening{now, now.Add(life)}
	o.held[key] = at
	return at, true, nil
}
