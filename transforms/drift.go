package transforms

import "slices"

// What an EHR sends and no row names, counted for whoever keeps the dataset. It is a sample: a stream
// notes the members of some resources of each type, under a bounded number of paths.

const (
	maxSampled = 8  // resources of a type
	maxUnknown = 64 // paths of a stream
)

// drift counts unknown members by their paths. What the resource at hand adds is apart from the sums
// until it is released.
type drift struct {
	// paths are of this stream, and with n and pending at 0 of an earlier one, which saves this one
	// the text; slots, open-addressed, have their indices and one more, or 0.
	paths []unknown
	slots [256]uint8

	live        int     // paths of this stream
	touched     []uint8 // those that the resource at hand has, by index
	notes       int     // how often a member was counted
	rest        int     // counted without a path
	restPending int
}

// unknown is the path of a member.
type unknown struct {
	lo, hi     uint64 // its name (see key16)
	length     int32
	parent     int32 // the number of its node's path
	n, pending int32
	first      uint8 // the slot that it is looked for in first
	path       string
}

// note counts a member of an object that is filtered by the node.
func (d *drift) note(n *node, cur *cursor) {
	d.notes++
	b, k := cur.b, cur.k
	length := len(b) - slack - k
	lo, hi := cur.lo, cur.hi
	at := uint8(place(lo, hi, length+int(n.enters)<<8, 0x9E3779B97F4A7C15) >> 56)
	first := at
	for ; d.slots[at] != 0; at++ {
		i := int(d.slots[at] - 1)
		u := &d.paths[i]
		if u.lo == lo && u.hi == hi && u.length == int32(length) && u.parent == n.enters &&
			(length <= 16 || u.path[len(u.path)-length:] == string(b[k:k+length])) {
			d.count(i)
			return
		}
	}
	switch name := b[k : k+length]; {
	case d.live == maxUnknown:
		d.restPending++
	case !isMember(name) && string(name) != "?":
		d.note(n, &cursor{b: unnamed[:], lo: '?'})
	default:
		if d.paths == nil {
			d.paths = make([]unknown, 0, maxUnknown)
		}
		d.paths = append(d.paths, unknown{
			lo: lo, hi: hi, length: int32(length), parent: n.enters, first: first,
			path: n.path + "." + string(name),
		})
		d.slots[at] = uint8(len(d.paths))
		d.count(len(d.paths) - 1)
	}
}

// unnamed stands for a name that cannot be told.
var unnamed = [1 + slack]byte{'?'}

func (d *drift) count(i int) {
	u := &d.paths[i]
	if u.pending == 0 {
		if u.n == 0 {
			if d.live == maxUnknown {
				d.restPending++
				return
			}
			d.live++
		}
		d.touched = append(d.touched, uint8(i))
	}
	u.pending++
}

// commit adds the resource at hand to the sums.
func (d *drift) commit() {
	for _, i := range d.touched {
		u := &d.paths[i]
		u.n, u.pending = u.n+u.pending, 0
	}
	d.rest += d.restPending
	d.touched, d.restPending = d.touched[:0], 0
}

// discard forgets the resource at hand.
func (d *drift) discard() {
	for _, i := range d.touched {
		u := &d.paths[i]
		if u.pending = 0; u.n == 0 {
			d.live--
		}
	}
	d.touched, d.restPending = d.touched[:0], 0
	if len(d.paths) > maxUnknown {
		d.compact()
	}
}

// compact leaves the paths that this stream has: so there are never more than twice maxUnknown.
func (d *drift) compact() {
	d.paths = slices.DeleteFunc(d.paths, func(u unknown) bool { return u.n == 0 })
	clear(d.slots[:])
	for i := range d.paths {
		at := d.paths[i].first
		for d.slots[at] != 0 {
			at++
		}
		d.slots[at] = uint8(i + 1)
	}
}

func (d *drift) reset() {
	for i := range d.paths {
		d.paths[i].n = 0
	}
	d.discard()
	d.live, d.rest = 0, 0
}

func (d *drift) sum(counts map[string]int) {
	for i := range d.paths {
		if u := &d.paths[i]; u.n > 0 {
			counts[u.path] = int(u.n)
		}
	}
	if d.rest > 0 {
		counts["?"] = d.rest
	}
}

// isMember reports whether a name can be told: it is one that an element could have, or the sibling of
// one.
func isMember(name []byte) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', i == 0 && c == '_':
		case i > 0 && (c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxName
}
