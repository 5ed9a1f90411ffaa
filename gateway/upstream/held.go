package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// How long a token is used, and how often one is asked for.
const (
	defaultLife = time.Minute      // of a token that says nothing of it; SMART demands expires_in
	longestLife = time.Hour        // however long the server says: a right that was withdrawn is noticed by then
	refreshTime = time.Minute      // before its end a token is replaced, while calls go on with the old one
	youngest    = 5 * time.Second  // a refused token that is younger is kept: another would be refused too
	firstPause  = time.Second      // after a failure, doubled by each further one
	longest     = 30 * time.Second // of these pauses
)

// granted is what a token endpoint gave.
type granted struct {
	token Secret
	life  time.Duration
}

// held is one access token for all who need it. It is fetched once for all who wait, replaced before it ends, and a
// failure stands for a moment, so that a server in trouble is not asked by every call.
type held struct {
	now func() time.Time

	mu      sync.Mutex
	token   Secret
	got     time.Time
	refresh time.Time // from here on, another is fetched
	expires time.Time
	flight  chan struct{} // closed when the fetch under way has ended; nil: there is none
	failed  *Error        // of the last fetch
	fails   int           // in a row
	retry   time.Time     // before, failed stands
}

// get returns the token, and fetches one first where there is none. The fetch does not end with the caller that began it:
// others wait for it too.
func (h *held) get(ctx context.Context, stopped func(context.Context) *Error, fetch func() (granted, *Error)) (Secret, *Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		now := h.now()
		if h.token != "" && now.Before(h.expires) {
			if h.flight == nil && !now.Before(h.refresh) && !now.Before(h.retry) {
				h.begin(fetch)
			}
			return h.token, nil
		}
		if h.flight == nil {
			if h.failed != nil && now.Before(h.retry) {
				return "", h.failed
			}
			h.begin(fetch)
		}
		flight := h.flight
		h.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		h.mu.Lock()
		if failure := stopped(ctx); failure != nil {
			return "", failure
		}
	}
}

// begin fetches a token for all who wait. The lock is held.
func (h *held) begin(fetch func() (granted, *Error)) {
	flight := make(chan struct{})
	h.flight = flight
	asked := h.now() // the life that the server states began then at the latest
	go func() {
		g, err := fetch()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.flight = nil
		close(flight)
		if err != nil {
			h.failed = err
			pause := min(firstPause<<min(h.fails, 5), longest)
			h.retry = h.now().Add(pause/2 + rand.N(pause/2))
			h.fails++
			return
		}
		life := min(g.life, longestLife)
		ahead := min(refreshTime, life/4)
		h.token, h.failed, h.fails, h.got = g.token, nil, 0, asked
		h.expires = asked.Add(life - early(life))
		h.refresh = asked.Add(life - ahead - rand.N(ahead/2+1)) // replicas do not ask all at once
	}()
}

// early is how long before its end a token is not used any more: it has to arrive before, and a server that counts whole
// seconds may have begun up to one ago.
func early(life time.Duration) time.Duration {
	return min(5*time.Second, max(life/10, min(time.Second, life/2)))
}

// drop forgets a token that the EHR refused, and says whether another may do better.
func (h *held) drop(refused Secret) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.token != refused {
		return true // it was replaced meanwhile
	}
	if h.now().Before(h.got.Add(youngest)) {
		return false
	}
	h.token = ""
	return true
}

// over says whether nothing would be lost by forgetting it.
func (h *held) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	return h.flight == nil && !now.Before(h.expires) && !now.Before(h.retry)
}
