package transforms

// subjects are whom the stream discloses something of.
type subjects struct {
	named   []subject // by the resource at hand, which may not leave yet
	pending []Subject // by the window that is gathered

	// seen holds the hashes of those named before, in an open-addressed table; 0 is free. When
	// full, it is emptied, and subjects repeat.
	seen  []uint64
	count int
}

type subject struct {
	hash uint64
	Subject
}

const (
	maxSeen  = 8 << 10
	maxNamed = 64 << 10 // by one resource
)

// subject notes one, which counts when the resource at hand is released.
func (f *filter) subject(kind string, id []byte) error {
	f.key = append(append(append(f.key[:0], kind...), '/'), id...)
	h := hashLong(f.seed, f.key)
	s := &f.subjects
	if s.has(h) {
		return nil
	}
	for i := len(s.named) - 1; i >= 0 && i >= len(s.named)-16; i-- {
		if s.named[i].hash == h {
			return nil
		}
	}
	if len(s.named) == maxNamed {
		return f.fail(ErrLookahead)
	}
	s.named = append(s.named, subject{h, Subject{kind, string(id)}})
	return nil
}

func (s *subjects) has(h uint64) bool {
	for i := h >> 7; len(s.seen) > 0; i++ {
		switch s.seen[i&uint64(len(s.seen)-1)] {
		case 0:
			return false
		case h:
			return true
		}
	}
	return false
}

// commit makes those named pending.
func (s *subjects) commit() {
	for _, n := range s.named {
		if s.remember(n.hash) {
			s.pending = append(s.pending, n.Subject)
		}
	}
	s.discard(0)
}

// discard forgets those named since there were mark of them, by what does not leave.
func (s *subjects) discard(mark int) {
	mark = min(mark, len(s.named)) // fewer, when some were committed
	clear(s.named[mark:])
	s.named = s.named[:mark]
}

// remember reports whether h was not yet seen.
func (s *subjects) remember(h uint64) bool {
	switch {
	case s.count >= maxSeen:
		clear(s.seen)
		s.count = 0
	case 2*s.count >= len(s.seen):
		old := s.seen
		s.seen = make([]uint64, max(256, 2*len(old)))
		for _, x := range old {
			if x != 0 {
				insert(s.seen, x)
			}
		}
	}
	if !insert(s.seen, h) {
		return false
	}
	s.count++
	return true
}

func (s *subjects) reset() {
	s.discard(0)
	clear(s.pending)
	s.pending = s.pending[:0]
	if cap(s.pending) > 4<<10 {
		s.pending = nil
	}
	if cap(s.named) > 4<<10 {
		s.named = nil
	}
	if len(s.seen) > 4<<10 {
		s.seen = nil
	}
	clear(s.seen)
	s.count = 0
}
