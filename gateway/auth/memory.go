package auth

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

type digest = [sha256.Size]byte

// verified is a token that was found good.
type verified struct {
	caller *Caller
	source *source
	key    *key
	until  time.Time

	code    string       // of one that an issuer was asked about and that is not good; "" else
	confirm confirmation // by which it has to be proven at each use
}

// memory is a bounded number of verified tokens by their SHA-256, so that the memory of
// the process holds no token. Which to forget is decided as by a clock with one hand:
// the first that was not used since the hand passed.
type memory struct {
	mu    sync.RWMutex
	index map[digest]int
	slots []slot
	hand  int
	size  int
}

type slot struct {
	sum  digest
	used atomic.Bool
	verified
}

func newMemory(size int) *memory {
	return &memory{index: make(map[digest]int), size: size}
}

func (m *memory) get(sum digest, now time.Time) (verified, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i, ok := m.index[sum]
	if !ok || !now.Before(m.slots[i].until) {
		return verified{}, false
	}
	m.slots[i].used.Store(true)
	return m.slots[i].verified, true
}

func (m *memory) add(sum digest, v verified) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size == 0 {
		return
	}
	i, ok := m.index[sum]
	switch {
	case ok:
	case len(m.slots) < m.size:
		i = len(m.slots)
		m.slots = append(m.slots, slot{})
	default:
		for m.slots[m.hand].used.Swap(false) {
			m.hand = (m.hand + 1) % m.size
		}
		i = m.hand
		m.hand = (m.hand + 1) % m.size
		delete(m.index, m.slots[i].sum)
	}
	m.slots[i].sum, m.slots[i].verified = sum, v
	m.index[sum] = i
}
