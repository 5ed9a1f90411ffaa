package transforms

// Report sums up a stream. It holds names of types and of elements that the plan knows, and
// numbers.
type Report struct {
	BytesIn, BytesOut int64

	// Released counts resources by type.
	Released map[string]int

	// Dropped counts resources by cause ("type": it has no row; "label"; "compartment") and
	// type. A type that cannot be one is "?".
	Dropped map[string]map[string]int

	// Removed counts, by the path of an element that the plan knows ("Patient", "Patient.name"),
	// the members that were removed from it.
	Removed map[string]int

	// Tokenized counts the tokens made, by the path of the row.
	Tokenized map[string]int
}

// cause is why a resource was dropped.
type cause uint8

const (
	causeType cause = iota + 1
	causeLabel
	causeCompartment
)

func (c cause) String() string {
	switch c {
	case causeType:
		return "type"
	case causeLabel:
		return "label"
	case causeCompartment:
		return "compartment"
	}
	return ""
}

// tally is a report in the making. What the resource at hand adds is apart from the sums until it
// is released.
type tally struct {
	removed, tokenized       []int // by index of the node, of the resource at hand; 0 is ignored
	sumRemoved, sumTokenized []int
	out                      int64
	released                 map[*row]int
	dropped                  []dropped
}

type dropped struct {
	cause cause
	kind  string
	n     int
}

// maxDropped bounds how many different types are told apart that were dropped.
const maxDropped = 512

func newTally(nodes int) tally {
	all := make([]int, 4*nodes)
	return tally{
		removed: all[:nodes], tokenized: all[nodes : 2*nodes],
		sumRemoved: all[2*nodes : 3*nodes], sumTokenized: all[3*nodes:],
		released: map[*row]int{},
	}
}

func (t *tally) reset() {
	clear(t.removed)
	clear(t.tokenized)
	clear(t.sumRemoved)
	clear(t.sumTokenized)
	clear(t.released)
	clear(t.dropped)
	t.out, t.dropped = 0, t.dropped[:0]
}

// commit adds the resource at hand to the sums.
func (t *tally) commit(r *row) {
	for i := r.first; i < r.last; i++ {
		t.sumRemoved[i] += t.removed[i]
		t.sumTokenized[i] += t.tokenized[i]
	}
	t.released[r]++
	t.discard(r)
}

// discard forgets the resource at hand.
func (t *tally) discard(r *row) {
	clear(t.removed[r.first:r.last])
	clear(t.tokenized[r.first:r.last])
}

func (t *tally) drop(c cause, kind []byte) {
	if !isWord(kind) {
		kind = []byte("?")
	}
	for i := range t.dropped {
		if d := &t.dropped[i]; d.cause == c && d.kind == string(kind) {
			d.n++
			return
		}
	}
	if len(t.dropped) >= maxDropped && string(kind) != "?" {
		t.drop(c, []byte("?"))
		return
	}
	t.dropped = append(t.dropped, dropped{c, string(kind), 1})
}

// isWord reports whether a dropped type may be named: it is letters, and not many.
func isWord(kind []byte) bool {
	for _, c := range kind {
		if c |= 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(kind) > 0 && len(kind) <= 64
}

func (f *filter) report() Report {
	t := &f.tally
	r := Report{
		BytesIn: f.base + int64(f.w), BytesOut: t.out,
		Released: map[string]int{}, Dropped: map[string]map[string]int{},
		Removed: map[string]int{}, Tokenized: map[string]int{},
	}
	for row, n := range t.released {
		r.Released[row.kind] = n
	}
	for _, d := range t.dropped {
		cause := d.cause.String()
		if r.Dropped[cause] == nil {
			r.Dropped[cause] = map[string]int{}
		}
		r.Dropped[cause][d.kind] = d.n
	}
	for i, n := range f.plan.nodes {
		if n != nil && t.sumRemoved[i] > 0 {
			r.Removed[n.path] = t.sumRemoved[i]
		}
		if n != nil && t.sumTokenized[i] > 0 {
			r.Tokenized[n.path] = t.sumTokenized[i]
		}
	}
	return r
}
