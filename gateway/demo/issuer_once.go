package demo

import (
	"crypto/sha256"
	"sync"
	"time"
)

// onceLimit bounds what waits: whoever can reach the page can open it.
const onceLimit = 1000

// once keeps values under secrets. Each can be taken a single time, and only
// before it expires. Secrets are kept hashed, so that a look-up's time tells
// nothing of them.
type once[T any] struct {
	mu   sync.Mutex
	held map[[sha256.Size]byte]held[T]
}

type held[T any] struct {
	value   T
	expires time.Time
}

func newOnce[T any]() *once[T] { return &once[T]{held: map[[sha256.Size]byte]held[T]{}} }

// put reports false when too many wait.
func (o *once[T]) put(secret string, value T, now time.Time, life time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held) >= onceLimit {
		for key, h := range o.held {
			if !now.Before(h.expires) {
				delete(o.held, key)
			}
		}
	}
	if len(o.held) >= onceLimit {
		return false
	}
	o.held[sha256.Sum256([]byte(secret))] = held[T]{value, now.Add(life)}
	return true
}

func (o *once[T]) take(secret string, now time.Time) (value T, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := sha256.Sum256([]byte(secret))
	h, ok := o.held[key]
	delete(o.held, key)
	if !ok || !now.Before(h.expires) {
		return value, false
	}
	return h.value, true
}
