package transforms

// Report sums up a stream. It holds names of types and of elements that the plan knows, and
// numbers.
type Report struct {
	BytesIn, BytesOut int64

	// Released counts resources by type.
	Released map[string]int

	// Dropped counts resources by cause ("type": no row, or not of Types; "label"; "compartment";
	// "stray": included, and nothing that left leads to it; "other": not of EntryID) and type. A type
	// that cannot be one is "?".
	Dropped map[string]map[string]int

	// Removed counts, by the path of an element that the plan knows ("Patient", "Patient.name"),
	// the members that were removed from it.
	Removed map[string]int

	// Tokenized counts the tokens made, by the path of the row.
	Tokenized map[string]int

	// Unknown counts, by path ("Patient.communication"), the members that the EHR sent and no row
	// names: in the resource itself, and below elements of which rows name parts. It is a sample:
	// of the first 8 resources of each type that are released, without those contained,
	// and of the first 64 paths met; others are counted as "?", and a name that no element has as
	// "Patient.?".
	Unknown map[string]int

	// Missing counts, by path ("Appointment.status"), the resources released without an element
	// that the dataset requires (see [Dataset.Require]), contained ones aside.
	Missing map[string]int
}

// cause is why a resource was dropped.
type cause uint8

const (
	causeType cause = iota + 1
	causeLabel
	causeCompartment
	causeStray
	causeOther
)

func (c cause) String() string {
	switch c {
	case causeType:
		return "type"
	case causeLabel:
		return "label"
	case causeCompartment:
		return "compartment"
	case causeStray:
		return "stray"
	case causeOther:
		return "other"
	}
	return ""
}

// tally is a report in the making. What the resource at hand adds is apart from the sums until it
// is released.
type tally struct {
	removed, tokenized       []int32 // by index of the node, of the resource at hand; 0 is ignored
	sumRemoved, sumTokenized []int
	released                 []int  // by number of the row
	met                      []*row // of which resources were released
	missing                  []int  // by index of the plan's required
	out                      int64
	dropped                  []dropped
	drift                    drift
}

// dropped counts the resources of a type that were dropped for a cause. With n at 0 it is left of
// an earlier stream, and saves this one the name.
type dropped struct {
	cause cause
	kind  string
	n     int
}

// maxDropped bounds how many different types are told apart that were dropped.
const maxDropped = 512

func newTally(nodes, rows, required int) tally {
	pending, all := make([]int32, 2*nodes), make([]int, 2*nodes+rows+required)
	return tally{
		removed: pending[:nodes], tokenized: pending[nodes:],
		sumRemoved: all[:nodes], sumTokenized: all[nodes : 2*nodes],
		released: all[2*nodes : 2*nodes+rows], missing: all[2*nodes+rows:],
	}
}

func (t *tally) reset() {
	clear(t.removed)
	clear(t.tokenized)
	clear(t.sumRemoved)
	clear(t.sumTokenized)
	clear(t.released)
	clear(t.missing)
	t.met = t.met[:0]
	t.drift.reset()
	t.out = 0
	if len(t.dropped) > 64 {
		t.dropped = nil
	}
	for i := range t.dropped {
		t.dropped[i].n = 0
	}
}

// commit adds the resource at hand to the sums.
func (t *tally) commit(r *row) {
	removed, tokenized := t.sumRemoved[r.first:r.last], t.sumTokenized[r.first:r.last]
	for i, n := range t.removed[r.first:r.last] {
		removed[i] += int(n)
	}
	for i, n := range t.tokenized[r.first:r.last] {
		tokenized[i] += int(n)
	}
	if t.released[r.number]++; t.released[r.number] == 1 {
		t.met = append(t.met, r)
	}
	t.drift.commit()
	t.discard(r)
}

// discard forgets the resource at hand.
func (t *tally) discard(r *row) {
	clear(t.removed[r.first:r.last])
	clear(t.tokenized[r.first:r.last])
	t.drift.discard()
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

// sum brings the report up to date.
func (f *filter) sum() {
	t, r := &f.tally, f.report
	r.BytesIn, r.BytesOut = f.base+int64(f.w), t.out
	for _, m := range [...]*map[string]int{&r.Released, &r.Removed, &r.Tokenized, &r.Unknown, &r.Missing} {
		if *m == nil {
			*m = map[string]int{}
		}
		clear(*m)
	}
	for _, met := range t.met {
		r.Released[met.kind] = t.released[met.number]
		for i := met.first; i < met.last; i++ {
			path := f.plan.nodes[i].path // which variants of one element share
			if n := t.sumRemoved[i]; n > 0 {
				r.Removed[path] += n
			}
			if n := t.sumTokenized[i]; n > 0 {
				r.Tokenized[path] += n
			}
		}
	}
	for i, n := range t.missing {
		if n > 0 {
			r.Missing[f.plan.required[i]] = n
		}
	}
	t.drift.sum(r.Unknown)
	if r.Dropped == nil {
		r.Dropped = map[string]map[string]int{}
	}
	for _, kinds := range r.Dropped {
		clear(kinds)
	}
	for _, d := range t.dropped {
		if d.n == 0 {
			continue
		}
		cause := d.cause.String()
		if r.Dropped[cause] == nil {
			r.Dropped[cause] = map[string]int{}
		}
		r.Dropped[cause][d.kind] = d.n
	}
	for cause, kinds := range r.Dropped {
		if len(kinds) == 0 {
			delete(r.Dropped, cause)
		}
	}
}
