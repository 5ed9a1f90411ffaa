package transforms

// hashes is a set of hashes in an open-addressed table, of which a quarter at least is free: 0.
type hashes struct {
	slots []uint64
	count int
}

func (s *hashes) has(h uint64) bool {
	for i := h >> 7; len(s.slots) > 0; i++ {
		switch s.slots[i&uint64(len(s.slots)-1)] {
		case 0:
			return false
		case h:
			return true
		}
	}
	return false
}

// add reports whether h was not there yet.
func (s *hashes) add(h uint64) bool {
	if 4*s.count >= 3*len(s.slots) {
		old := s.slots
		s.slots = make([]uint64, max(256, 2*len(old)))
		for _, x := range old {
			if x != 0 {
				insert(s.slots, x)
			}
		}
	}
	if !insert(s.slots, h) {
		return false
	}
	s.count++
	return true
}

// empty forgets them all, and keeps the table.
func (s *hashes) empty() {
	if s.count > 0 {
		clear(s.slots)
	}
	s.count = 0
}
