package transforms

import "encoding/binary"

// What comes again. The resources of one answer are like one another: the members of a type come in
// the same order, and many of them say word for word what they said in a resource before: whose it
// is, who was there and where, of which kind it is. So, of the members of resources,
//
//   - each is first looked for among the names that came next the last time (habit), which takes
//     neither a scan of the name nor a look into the plan;
//   - a text, an object or an array that is the very one that the member had before leaves as that
//     one did (echo), and is not gone into.
//
// Invariants:
//   - An echo is compared byte by byte. It is a whole value, found valid, and ends with its own last
//     byte, whatever follows.
//   - It depends on nothing but its bytes, its row and the stream's options; what else its value did
//     is noted beside it, and is done again. What cannot be (see learn) has no echo: dates that move,
//     lists that are aligned at the end of the resource, references by which others are included.
//   - Echoes are of one stream: tokens are one client's. Of habits only the names outlive it, and where
//     they have in the plan.
//   - A name that was expected is not among the hashes of its object's names, but has a bit of its own, which
//     is asked for each other one that has a habit.
type habits struct {
	list   []habit // of all types
	first  []int16 // by number of the row: its first in list, counted from 1
	pasts  []past
	echoes []echo
	text   []byte // of the echoes
	hits   int    // since the echoes were forgotten
	idle   int    // values that are not learned, since those before seldom came again
	idled  int    // how many these were the last time
	row    *row   // of the last resource
	run    int    // how many in a row were of it
	lesson lesson
}

// habit is a member that resources of a type have.
type habit struct {
	lo, hi uint64 // its name (see key16)
	kid    *node  // that governs it, or nil
	n      uint8  // bytes of the name
	under  bool
	at     int16 // its place in list, counted from 1
	next   int16 // which one comes next, in list, counted from 1; 0 is none
	past   int16 // its place in pasts, counted from 1; 0 is none
}

// A stream has 13 KB for all of these.
const (
	maxHabits  = 144
	maxOfType  = 32 // of these
	maxAhead   = 6  // how many of those that may come next are tried
	maxPasts   = 64
	maxEchoed  = 4 // values of one member
	maxEchoes  = 48
	echoText   = 5 << 10
	minEcho    = 8       // bytes of a value
	maxEcho    = 1 << 10 // and as many of what leaves of it
	minRun     = 2       // resources of a type before one of which anything is remembered
	maxDull    = 16      // values of a member that were new, before only each eighth is looked at
	maxCounted = 12      // counters of a member
)

// of returns the row of a resource that comes after others of its type, and else nil: where types take
// turns, there is more that could come again than there is room for.
func (h *habits) of(r *row) *row {
	if h.row != r {
		h.row, h.run = r, 0
		return nil
	}
	if h.run++; h.run < minRun {
		return nil
	}
	return r
}

// trail is which members the resource at hand had, of those that were expected. They are not in keys.
type trail struct {
	last int16                         // the last one, in list, counted from 1
	n    int                           // how many
	met  [(maxHabits + 64) / 64]uint64 // a bit for each place
}

// meet notes a member, and reports whether it was not there before.
func (t *trail) meet(at int16) bool {
	bit := uint64(1) << (at & 63)
	new := t.met[at>>6]&bit == 0
	t.met[at>>6] |= bit
	return new
}

// expected notes a member that was expected, of the object at hand.
func (f *filter) expected(cur *cursor, t *trail, at int16) error {
	if !t.meet(at) {
		return f.fail(ErrDuplicate)
	}
	t.n++
	t.last = at
	return f.bounded(cur, t)
}

// bounded refuses an object that has too many members, with those that were expected.
func (f *filter) bounded(cur *cursor, t *trail) error {
	if len(f.keys)-cur.keys > listed && f.keys[cur.keys]+uint64(t.n) > MaxKeys {
		return f.fail(ErrKeys)
	}
	return nil
}

// names notes the name of the member at hand.
func (f *filter) names(kid *node) {
	if kid != nil {
		f.steps[f.depth].name = kid.name
	} else {
		f.steps[f.depth].name = "?"
	}
}

// repeat goes on with the members of the resource at hand while they are echoes, and then to the next
// one, of which it returns the habit and the first byte of the value, which is at r. It returns nil where
// the next one is none that is expected; then it is r where member goes on.
func (f *filter) repeat(cur *cursor, r *row, t *trail, written *int, removed *int32) (*habit, byte, error) {
	h := &f.habits
	if len(h.list) == 0 {
		return nil, 0, nil
	}
	var echoed *habit
	for {
		b, i := f.buf, f.r
		s, k, v := h.next(b, i, cur.started, r, t)
		if s == nil {
			if echoed != nil {
				f.names(echoed.kid)
			}
			return nil, 0, nil
		}
		e := k + int(s.n)
		if err := f.expected(cur, t, s.at); err != nil {
			f.r = e + 1
			return nil, 0, err
		}
		cur.started = true
		var one *echo
		if s.past != 0 {
			one = f.echo(&h.pasts[s.past-1], b, v)
		}
		if one == nil {
			cur.b, cur.k, cur.raw, cur.lo, cur.hi = b[:e+slack], k, b[k-1:e+1], s.lo, s.hi
			f.r = v
			return s, b[v], nil
		}
		f.r = v + int(one.in)
		echoed = s
		if err := f.resound(s, one, written, removed); err != nil {
			f.names(s.kid)
			return nil, 0, err
		}
	}
}

// next returns the habit of the member that begins at b[i], behind a comma where the object has started, if
// it is one of those that may come next, and where its name and its value are; or nil.
func (h *habits) next(b []byte, i int, started bool, r *row, t *trail) (s *habit, k, v int) {
	if started {
		if b[i] != ',' {
			return nil, 0, 0
		}
		i++
	}
	if b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if b[i] != '"' {
		return nil, 0, 0
	}
	k = i + 1
	first := binary.LittleEndian.Uint64(b[k:])
	to := *h.follows(r, t.last)
	for range maxAhead {
		if to == 0 {
			break
		}
		s := &h.list[to-1]
		to = s.next
		n := int(s.n)
		if n < 8 {
			if first&(1<<(uint(n)*8)-1) != s.lo {
				continue
			}
		} else if first != s.lo || k+n+2 > len(b) || binary.LittleEndian.Uint64(b[k+n-8:]) != s.hi ||
			n > 16 && string(b[k:k+n]) != s.kid.name {
			continue
		}
		if b[k+n] != '"' || b[k+n+1] != ':' {
			continue
		}
		v = k + n + 2
		if b[v] == ' ' {
			v++
		}
		if b[v] <= ' ' {
			break
		}
		return s, k, v
	}
	return nil, 0, 0
}

// habit returns that of the member at hand, which was not expected, and expects it from now on. It returns
// nil where there is no room, and for names that not only their bytes tell.
func (f *filter) habit(cur *cursor, r *row, t *trail, kid *node, under bool) (*habit, error) {
	h := &f.habits
	if h.list == nil {
		h.list = make([]habit, 0, maxHabits)
		h.pasts = make([]past, 0, maxPasts)
		h.first = make([]int16, f.plan.numbered)
		h.echoes = make([]echo, 0, maxEchoes)
		h.text = make([]byte, 0, echoText)
	}
	if err := f.bounded(cur, t); err != nil {
		return nil, err
	}
	n := len(cur.b) - slack - cur.k
	count, before := 0, &h.first[r.number]
	if *before == 0 && len(h.list) == maxHabits {
		return nil, nil
	}
	for at := *before; at != 0; count++ {
		s := &h.list[at-1]
		if s.lo == cur.lo && s.hi == cur.hi && int(s.n) == n && (n <= 16 || s.kid == kid) {
			if !t.meet(at) {
				return nil, f.fail(ErrDuplicate)
			}
			*before = s.next // it comes behind the last one from now on
			before = h.follows(r, t.last)
			s.next, *before, t.last = *before, at, at
			return s, nil
		}
		before, at = &s.next, s.next
	}
	if count == maxOfType || len(h.list) == maxHabits || n == 0 || n > 16 && (kid == nil || under || n > maxName) || len(cur.raw) != n+2 {
		return nil, nil
	}
	before = h.follows(r, t.last)
	at := int16(len(h.list) + 1)
	h.list = append(h.list, habit{lo: cur.lo, hi: cur.hi, kid: kid, n: uint8(n), under: under, at: at, next: *before})
	*before, t.last = at, at
	t.meet(at)
	return &h.list[at-1], nil
}

// follows is which habit comes behind the last one, or first.
func (h *habits) follows(r *row, last int16) *int16 {
	if last == 0 {
		return &h.first[r.number]
	}
	return &h.list[last-1].next
}

// reset forgets the echoes, and habits where they are many.
func (h *habits) reset() {
	if len(h.list) == maxHabits {
		clear(h.first)
		h.list = h.list[:0]
	}
	if len(h.pasts) > 0 {
		for i := range h.list {
			h.list[i].past = 0
		}
	}
	h.pasts, h.echoes, h.text = h.pasts[:0], h.echoes[:0], h.text[:0]
	h.hits, h.idle, h.idled, h.row, h.lesson.learning = 0, 0, 0, nil, false
}
