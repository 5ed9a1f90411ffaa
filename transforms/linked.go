package transforms

// What a search includes leaves only behind what leads to it, in either direction, by a reference
// that leaves (search.html#revinclude). An EHR includes for all that it found; of what was withheld
// of that, what it leads to would tell.

// linked is the resources that left, and those that they refer to, as the stream goes on.
type linked struct {
	of   []uint64 // the resources to which the one at hand refers, by references that leave
	seen hashes
}

// maxLinked bounds them. What is not among them leads nowhere: what it includes is dropped.
const maxLinked = 32 << 10

// Of one resource: that it left, or that what left refers to it.
const (
	hasLeft = iota
	isNamed
)

// leads notes a reference that leaves.
func (f *filter) leads(to literal) {
	if f.opt.Searched == nil {
		return
	}
	f.habits.lesson.spoilt = true
	if len(f.linked.of) < maxLinked {
		f.linked.of = append(f.linked.of, f.identity(to.kind, to.id))
	}
}

// identity is the hash of a resource.
func (f *filter) identity(kind, id []byte) uint64 {
	f.key = append(append(append(f.key[:0], kind...), '/'), id...)
	return hashLong(f.seed, f.key)
}

// known is the hash of a resource with what is known of it.
func known(identity, what uint64) uint64 { return identity ^ what<<1 }

// stray reports whether the resource just filtered was included, and nothing that left leads to it.
func (f *filter) stray(r *row) bool {
	if f.opt.Searched == nil || !r.subject {
		return false
	}
	for _, kind := range f.opt.Searched {
		if kind == r.kind {
			return false
		}
	}
	l := &f.linked
	if f.res.identified && l.seen.has(known(f.identity([]byte(r.kind), f.res.id), isNamed)) {
		return false
	}
	for _, to := range l.of {
		if l.seen.has(known(to, hasLeft)) {
			return false
		}
	}
	return true
}

// linkUp makes the resource at hand, which leaves, lead to others.
func (f *filter) linkUp(r *row) {
	if f.opt.Searched == nil || !r.subject {
		return
	}
	l := &f.linked
	if f.res.identified {
		l.add(known(f.identity([]byte(r.kind), f.res.id), hasLeft))
	}
	for _, to := range l.of {
		l.add(known(to, isNamed))
	}
}

func (l *linked) add(h uint64) {
	if l.seen.count < maxLinked {
		l.seen.add(h)
	}
}

// reset forgets them all, and what has grown large.
func (l *linked) reset() {
	l.of = l.of[:0]
	l.seen.empty()
	if len(l.seen.slots) > 4<<10 || cap(l.of) > 4<<10 {
		*l = linked{}
	}
}
