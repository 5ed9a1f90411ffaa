package transforms

import (
	"iter"
	"slices"
)

// Subjects are resources by their types and the EHR's own ids. They may be used until Release
// returns only.
type Subjects struct {
	list []subject
	ids  []byte
}

// Len returns how many there are.
func (s Subjects) Len() int { return len(s.list) }

// All goes through their types and ids.
func (s Subjects) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, one := range s.list {
			if !yield(one.kind, s.ids[one.from:one.to:one.to]) {
				return
			}
		}
	}
}

// subjects are whom the stream discloses something of.
type subjects struct {
	named   Subjects // by the resource at hand, which may not leave yet
	hashes  []uint64 // of these
	pending Subjects // by the window that is gathered

	// seen are those named before. When there are too many, they are forgotten, and subjects repeat.
	seen hashes
}

type subject struct {
	kind     string
	from, to int32 // of its id in ids
}

const (
	maxSeen  = 384      // of 512 slots
	maxNamed = 64 << 10 // by one resource
)

// subject notes one, which counts when the resource at hand is released.
func (f *filter) subject(kind string, id []byte) error {
	f.key = append(append(append(f.key[:0], kind...), '/'), id...)
	h := hashLong(f.seed, f.key)
	s := &f.subjects
	if s.seen.has(h) {
		return nil
	}
	if slices.Contains(s.hashes[max(0, len(s.hashes)-16):], h) {
		return nil
	}
	if len(s.hashes) == maxNamed {
		return f.fail(ErrLookahead)
	}
	s.named.add(kind, id)
	s.hashes = append(s.hashes, h)
	return nil
}

func (s *Subjects) add(kind string, id []byte) {
	from := int32(len(s.ids))
	s.ids = append(s.ids, id...)
	s.list = append(s.list, subject{kind, from, int32(len(s.ids))})
}

func (s *Subjects) clear() { s.list, s.ids = s.list[:0], s.ids[:0] }

// commit makes those named pending.
func (s *subjects) commit() {
	for i, n := range s.named.list {
		if s.remember(s.hashes[i]) {
			s.pending.add(n.kind, s.named.ids[n.from:n.to])
		}
	}
	s.discard(0)
}

// discard forgets those named since there were mark of them, by what does not leave.
func (s *subjects) discard(mark int) {
	n := &s.named
	mark = min(mark, len(n.list)) // fewer, when some were committed
	n.list, s.hashes = n.list[:mark], s.hashes[:mark]
	n.ids = n.ids[:0]
	if mark > 0 {
		n.ids = n.ids[:n.list[mark-1].to]
	}
}

// remember reports whether h was not yet seen.
func (s *subjects) remember(h uint64) bool {
	if s.seen.count >= maxSeen {
		s.seen.empty()
	}
	return s.seen.add(h)
}

func (s *subjects) reset() {
	s.named.reset()
	s.pending.reset()
	if s.hashes = s.hashes[:0]; cap(s.hashes) > 2<<10 {
		s.hashes = nil
	}
	s.seen.empty()
}

func (s *Subjects) reset() {
	if cap(s.list) > 2<<10 || cap(s.ids) > 64<<10 {
		*s = Subjects{}
	}
	s.clear()
}
