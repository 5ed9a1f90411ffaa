package demo

import (
	"cmp"
	"slices"
	"strings"
)

// A sortKey is one of _sort's.
type sortKey struct {
	parameter  searchParameter
	descending bool
}

func sortKeys(kind, value string) ([]sortKey, error) {
	var keys []sortKey
	for name := range strings.SplitSeq(value, ",") {
		name, descending := strings.CutPrefix(name, "-")
		p, ok := parameter(kind, name)
		if !ok || p.kind == paramReference {
			return nil, badParameter("_sort", "names of date, string or token parameters of "+kind)
		}
		keys = append(keys, sortKey{p, descending})
	}
	return keys, nil
}

// value is what r is sorted by: of several values the first in the order asked
// for; false where it has none, which comes last.
func (k sortKey) value(r *resource) (string, bool) {
	var best string
	found := false
	for _, v := range r.values(k.parameter) {
		s := strings.ToLower(letters.Replace(v.String()))
		if k.parameter.kind == paramDate {
			at, ok := spanOf(v)
			if !ok {
				continue
			}
			s = instant(at.from)
		}
		if c := cmp.Compare(s, best); !found || c < 0 && !k.descending || c > 0 && k.descending {
			best, found = s, true
		}
	}
	return best, found
}

// sortBy keeps the store's order among equals.
func sortBy(rs []*resource, keys []sortKey) {
	for _, k := range slices.Backward(keys) {
		type keyed struct {
			r     *resource
			value string
			has   bool
		}
		ks := make([]keyed, len(rs))
		for i, r := range rs {
			v, ok := k.value(r)
			ks[i] = keyed{r, v, ok}
		}
		slices.SortStableFunc(ks, func(a, b keyed) int {
			switch {
			case a.has != b.has && a.has:
				return -1
			case a.has != b.has:
				return 1
			case k.descending:
				return cmp.Compare(b.value, a.value)
			}
			return cmp.Compare(a.value, b.value)
		})
		for i := range ks {
			rs[i] = ks[i].r
		}
	}
}
