package policies

import (
	"hash/maphash"
	"sync"
)

// What a cache holds at most, over all of its parts. A desk has some hundred different calls an hour; a policy that reads
// the ticket's number has them once for each ticket.
const (
	maxEntries = 16 << 10
	maxBytes   = 8 << 20
	maxKey     = 2 << 10 // a call with a longer key is decided each time
	shards     = 16
)

// Counts tell how an engine's decisions were come by.
type Counts struct {
	Remembered uint64 // taken from the cache
	Evaluated  uint64 // by running the rules, whatever came of it
}

// Counts is how many decisions there were so far.
func (e *Engine) Counts() Counts {
	return Counts{Remembered: e.remembered.Load(), Evaluated: e.evaluated.Load()}
}

// cache remembers the decisions of one engine. It belongs to the engine, so that another revision begins with nothing.
//
// Each part has two generations. What is found in the old one moves into the young one; when the young one is full it
// becomes the old one, and what was in that is forgotten. So a flood of calls that all differ takes bounded memory and
// pushes out only what nobody asks for: an entry lives on if it is asked for once while a generation fills.
type cache struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu         sync.RWMutex
	young, old map[string]*Decision
	bytes      int // of the young
	_          [64]byte
}

func newCache() *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].young = map[string]*Decision{}
	}
	return c
}

func (c *cache) shard(key []byte) *shard {
	return &c.shards[maphash.Bytes(c.seed, key)%shards]
}

// get finds a decision; nil if there is none. No lock is held when it returns.
func (c *cache) get(key []byte) *Decision {
	s := c.shard(key)
	s.mu.RLock()
	d, recent := s.young[string(key)]
	if !recent {
		d = s.old[string(key)]
	}
	s.mu.RUnlock()
	if d != nil && !recent {
		s.put(string(key), d)
	}
	return d
}

// put remembers a decision, which nobody changes any more.
func (c *cache) put(key []byte, d *Decision) {
	if len(key) <= maxKey {
		c.shard(key).put(string(key), d)
	}
}

func (s *shard) put(key string, d *Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.young[key]; known {
		return
	}
	size := sizeOf(key, d)
	if len(s.young) >= maxEntries/shards/2 || s.bytes+size > maxBytes/shards/2 {
		s.old, s.young, s.bytes = s.young, map[string]*Decision{}, 0
	}
	s.young[key] = d
	s.bytes += size
}

// sizeOf is about how many bytes an entry takes.
func sizeOf(key string, d *Decision) int {
	size := 300 + len(key) + len(d.Reason.Code) + len(d.Reason.Text) + len(d.Dataset) + len(d.Purpose) + len(d.Patient)
	for _, l := range d.DenyLabels {
		size += 32 + len(l.System) + len(l.Code)
	}
	for _, o := range d.Obligations {
		size += 16 + len(o)
	}
	return size
}
