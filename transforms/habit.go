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
//   - A name that is expected is still held against all that its object had before.
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
	next   int16 // which one comes next, in list, counted from 1; 0 is none
	past   int16 // its place in pasts, counted from 1; 0 is none
}

// A stream has 13 KB for all of these.
const (
	maxHabits  = 160
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

// repeat goes on with the members of the resource at hand while they are echoes, and then to the next
// one, of which it returns the habit and the first byte of the value, which is at r. It returns nil where
// the next one is none that is expected; then it is r where member goes on.
func (f *filter) repeat(cur *cursor, r *row, last *int16, written *int, removed *int32) (*habit, byte, error) {
	h := &f.habits
	if len(h.list) == 0 {
		return nil, 0, nil
	}
next:
	b, i := f.buf, f.r
	if cur.started {
		if b[i] != ',' {
			return nil, 0, nil
		}
		i++
	}
	if b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if b[i] != '"' {
		return nil, 0, nil
	}
	k := i + 1
	at := *h.follows(r, *last)
	first := binary.LittleEndian.Uint64(b[k:])
	for range maxAhead {
		if at == 0 {
			return nil, 0, nil
		}
		s := &h.list[at-1]
		n := int(s.n)
		hi := uint64(0)
		switch {
		case n < 8:
			if first&(1<<(uint(n)*8)-1) != s.lo {
				at = s.next
				continue
			}
		case first != s.lo, k+n+2 > len(b):
			at = s.next
			continue
		default:
			hi = binary.LittleEndian.Uint64(b[k+n-8:])
		}
		e := k + n
		if hi != s.hi || b[e] != '"' || b[e+1] != ':' || n > 16 && string(b[k:e]) != s.kid.name {
			at = s.next
			continue
		}
		v := e + 2
		if b[v] == ' ' {
			v++
		}
		c := b[v]
		if c <= ' ' {
			return nil, 0, nil
		}
		hash := uint64(0)
		if n <= 16 {
			hash = hashShort(f.seed, s.lo, s.hi, n)
		} else {
			hash = hashLong(f.seed, b[k:e])
		}
		if err := f.keys.add(cur.keys, hash); err != nil {
			f.r = e + 1
			return nil, 0, f.fail(err)
		}
		cur.started, *last = true, at
		if s.kid != nil {
			f.steps[f.depth].name = s.kid.name
		} else {
			f.steps[f.depth].name = "?"
		}
		if s.past != 0 {
			if one := f.echo(&h.pasts[s.past-1], b, v); one != nil {
				f.r = v + int(one.in)
				if err := f.resound(s, one, written, removed); err != nil {
					return nil, 0, err
				}
				goto next
			}
		}
		cur.b, cur.k, cur.raw, cur.lo, cur.hi = b[:e+slack], k, b[i:e+1], s.lo, s.hi
		f.r = v
		return s, c, nil
	}
	return nil, 0, nil
}

// habit returns that of the member at hand, which was not expected, and expects it from now on. It returns
// nil where there is no room, and for names that not only their bytes tell.
func (f *filter) habit(cur *cursor, r *row, last *int16, kid *node, under bool) *habit {
	h := &f.habits
	if h.list == nil {
		h.list = make([]habit, 0, maxHabits)
		h.pasts = make([]past, 0, maxPasts)
		h.first = make([]int16, f.plan.numbered)
		h.echoes = make([]echo, 0, maxEchoes)
		h.text = make([]byte, 0, echoText)
	}
	n := len(cur.b) - slack - cur.k
	count, before := 0, &h.first[r.number]
	if *before == 0 && len(h.list) == maxHabits {
		return nil
	}
	for at := *before; at != 0; count++ {
		s := &h.list[at-1]
		if s.lo == cur.lo && s.hi == cur.hi && int(s.n) == n && (n <= 16 || s.kid == kid) {
			*before = s.next // it comes behind the last one from now on
			before = h.follows(r, *last)
			s.next, *before, *last = *before, at, at
			return s
		}
		before, at = &s.next, s.next
	}
	if count == maxOfType || len(h.list) == maxHabits || n == 0 || n > 16 && (kid == nil || under || n > maxName) || len(cur.raw) != n+2 {
		return nil
	}
	before = h.follows(r, *last)
	h.list = append(h.list, habit{lo: cur.lo, hi: cur.hi, kid: kid, n: uint8(n), under: under, next: *before})
	*before = int16(len(h.list))
	*last = *before
	return &h.list[*last-1]
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
