package state

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// quotaWindow is how long a patient counts after an actor was last told of them.
const quotaWindow = time.Hour

// ErrFull says that a store holds as much as it may, so that it cannot count what comes now.
var ErrFull = errors.New("the shared state is full")

// QuotaOptions are of a Quota.
type QuotaOptions struct {
	// Entries is how many pairs of an actor and a patient are held at most; default 1,000,000,
	// which are about 100 MB.
	Entries int
	Now     func() time.Time // default time.Now
}

// A Quota counts the distinct patients that each actor was told of within the last hour. The
// hour slides: at no moment has an actor been told of more than its limit in the sixty minutes
// before. It lives as long as the process; after a restart every actor begins anew.
type Quota struct {
	now     func() time.Time
	entries int

	mu     sync.Mutex
	actors map[string]map[string]int64 // actor -> patient -> when last told of, in Unix nanoseconds
	held   int                         // patients of all actors
	swept  int64
}

// NewQuota makes an empty Quota.
func NewQuota(o QuotaOptions) *Quota {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Entries == 0 {
		o.Entries = 1_000_000
	}
	return &Quota{now: o.Now, entries: o.Entries, actors: map[string]map[string]int64{}}
}

// Take counts patients, by their hashes, towards an actor's limit: all of them, or none where
// they would exceed it. wait is zero where they are counted, and otherwise how long it takes
// until they could be. The error is ErrFull.
func (q *Quota) Take(actor string, patients []string, limit int) (wait time.Duration, err error) {
	if len(patients) == 0 {
		return 0, nil
	}
	now := q.now().UnixNano()
	q.mu.Lock()
	defer q.mu.Unlock()
	seen := q.actors[actor]
	if len(seen)+len(patients) > limit {
		q.expire(seen, now)
	}
	if q.held+len(patients) > q.entries {
		if q.sweep(now); q.held+len(patients) > q.entries {
			return 0, ErrFull
		}
		seen = q.actors[actor]
	}
	if seen == nil {
		seen = map[string]int64{}
	}
	var added []string
	for _, p := range patients {
		if _, ok := seen[p]; !ok {
			seen[p] = now
			added = append(added, p)
		}
	}
	if over := len(seen) - limit; over > 0 {
		for _, p := range added {
			delete(seen, p)
		}
		return untilRoom(seen, patients, over, now), nil
	}
	for _, p := range patients {
		seen[p] = now
	}
	q.held += len(added)
	q.actors[actor] = seen
	return 0, nil
}

// untilRoom is how long it takes until so many of those that are not asked for stop counting.
func untilRoom(seen map[string]int64, patients []string, over int, now int64) time.Duration {
	var ends []int64
	for p, at := range seen {
		if !slices.Contains(patients, p) {
			ends = append(ends, at+int64(quotaWindow))
		}
	}
	if over > len(ends) { // more than the whole limit at once
		return quotaWindow
	}
	slices.Sort(ends)
	return max(time.Duration(ends[over-1]-now), 1)
}

// expire forgets those of one actor that do not count any more.
func (q *Quota) expire(seen map[string]int64, now int64) {
	before := len(seen)
	maps.DeleteFunc(seen, func(_ string, at int64) bool { return now-at >= int64(quotaWindow) })
	q.held -= before - len(seen)
}

// sweep expires those of every actor, at most once a second: a store that stays full must not
// cost each call a walk through it.
func (q *Quota) sweep(now int64) {
	if q.swept != 0 && now-q.swept < int64(time.Second) {
		return
	}
	q.swept = now
	for actor, seen := range q.actors {
		if q.expire(seen, now); len(seen) == 0 {
			delete(q.actors, actor)
		}
	}
}

// Usage is how much of a Quota is used, without names.
type Usage struct {
	Actors   int `json:"actors"`   // that were told of a patient within the hour
	Patients int `json:"patients"` // pairs of an actor and a patient
	Most     int `json:"most"`     // patients of one actor
}

// Usage counts what is held now.
func (q *Quota) Usage() Usage {
	now := q.now().UnixNano()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.swept = 0
	q.sweep(now)
	u := Usage{Actors: len(q.actors), Patients: q.held}
	for _, seen := range q.actors {
		u.Most = max(u.Most, len(seen))
	}
	return u
}
