package transforms

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
)

// What a dataset requires: elements of the resource itself, since a resource has these once at most and
// a purpose either finds them or does not. Whether one is there is what the EHR sent, and not what leaves
// of it.

const maxRequired = 64 // of a type

// require has the elements counted that a resource of the row's type lacks and should not.
func (p *Plan) require(r *row) {
	r.required = int32(len(p.required))
	for i, name := range p.dataset.Require[r.kind] {
		k := r.root.kid(name)
		if k == nil { // a * lets it leave
			k = r.root.grow(name, true)
			k.star = r.root.star
		}
		k.need = 1 << i
		r.root.need |= k.need
		p.required = append(p.required, k.path)
	}
}

// lacked counts what the resource at hand should have had and did not.
func (t *tally) lacked(r *row, had uint64) {
	for lacks := r.root.need &^ had; lacks != 0; lacks &= lacks - 1 {
		t.missing[int(r.required)+bits.TrailingZeros64(lacks)]++
	}
}

// unmet returns what is wrong with what the dataset requires.
func (ds *Dataset) unmet() (all []error) {
	add := func(format string, args ...any) { all = append(all, fmt.Errorf("require: "+format, args...)) }
	for _, kind := range slices.Sorted(maps.Keys(ds.Require)) {
		rows, ok := ds.Resources[kind]
		switch {
		case !ok:
			add("%q has no row", kind)
			continue
		case kind == "Parameters":
			add("Parameters: its row is built in, and requires nothing")
			continue
		case len(ds.Require[kind]) > maxRequired:
			add("%s: more than %d elements", kind, maxRequired)
		}
		root, _ := build(kind, rows, nil)
		for i, name := range ds.Require[kind] {
			switch {
			case !isName(name):
				add("%s: %q is not the name of an element of the resource itself", kind, name)
			case name == "resourceType":
				add("%s: resourceType is always there", kind)
			case slices.Contains(ds.Require[kind][:i], name):
				add("%s: %q is there twice", kind, name)
			case !root.lets(name):
				add("%s: no row lets %q leave, so nobody can rely on it", kind, name)
			}
		}
	}
	return all
}

// lets reports whether anything of an element of the root can leave.
func (n *node) lets(name string) bool {
	k := n.kid(name)
	if n.star != nil && leftOut(name) == 0 && (k == nil || !k.own) {
		return true
	}
	return k != nil && !k.hidden
}
