package demo

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// An inclusion is one _include or _revinclude
// (https://hl7.org/fhir/R4/search.html#revinclude).
type inclusion struct {
	reverse, iterate bool
	kind, target     string
	parameter        searchParameter
	any              bool // Type:*
}

func parseInclusion(key, value string) (inclusion, error) {
	name, modifier, _ := strings.Cut(key, ":")
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 || parameters[parts[0]] == nil {
		return inclusion{}, badParameter(key, "Type:parameter or Type:parameter:Target")
	}
	i := inclusion{reverse: name == "_revinclude", iterate: modifier == "iterate", kind: parts[0], any: parts[1] == "*"}
	if len(parts) == 3 {
		i.target = parts[2]
	}
	if i.any {
		return i, nil
	}
	p, ok := parameter(parts[0], parts[1])
	if !ok || p.kind != paramReference {
		return inclusion{}, unknownParameter(parts[0], parts[1])
	}
	i.parameter = p
	if i.target == "" {
		i.target = p.target
	}
	return i, nil
}

// included follows the inclusions from a page's matches. Those that iterate are
// followed until nothing new is found.
func (c *call) included(inclusions []inclusion, matches []*resource) []*resource {
	seen := map[*resource]bool{}
	for _, r := range matches {
		seen[r] = true
	}
	var all []*resource
	fresh := matches
	for round := 0; len(fresh) > 0; round++ {
		var found []*resource
		for _, i := range inclusions {
			if round > 0 && !i.iterate {
				continue
			}
			for _, from := range fresh {
				for _, r := range c.follow(i, from) {
					if !seen[r] {
						seen[r] = true
						found = append(found, r)
					}
				}
			}
		}
		all = append(all, found...)
		fresh = found
	}
	return all
}

func (c *call) follow(i inclusion, from *resource) []*resource {
	var found []*resource
	if i.reverse {
		for _, r := range c.store.pointing(from.reference(), i.kind) {
			if i.any || (i.target == "" || i.target == from.kind) && r.pointsBy(i.parameter, from.reference()) {
				found = append(found, r)
			}
		}
		return found
	}
	if from.kind != i.kind {
		return nil
	}
	add := func(reference string) {
		if r, ok := c.store.get(relative(reference)); ok && (i.target == "" || r.kind == i.target) {
			found = append(found, r)
		}
	}
	if i.any {
		references(gjson.ParseBytes(from.current().body), add)
		return found
	}
	for _, v := range from.values(i.parameter) {
		add(v.Get("reference").Str)
	}
	return found
}

// referred lists what rs refer to and do not hold: staff, places, payers.
func (c *call) referred(rs []*resource) []*resource {
	var found []*resource
	for _, from := range rs {
		references(gjson.ParseBytes(from.current().body), func(reference string) {
			r, ok := c.store.get(reference)
			if ok && r.kind != "Patient" && !slices.Contains(rs, r) && !slices.Contains(found, r) {
				found = append(found, r)
			}
		})
	}
	return found
}
