package demo

import (
	"slices"
	"strings"
)

// criterion compiles a parameter that selects: a plain one, a chain
// ("patient.family") or a reverse chain ("_has:Task:patient:status").
func (c *call) criterion(kind, key, value string) (test, error) {
	if rest, ok := strings.CutPrefix(key, "_has:"); ok {
		return c.reverseChain(kind, rest, value)
	}
	if head, rest, ok := strings.Cut(key, "."); ok {
		return c.chain(kind, head, rest, value)
	}
	name, modifier, _ := strings.Cut(key, ":")
	return compile(kind, name, modifier, value, c.base)
}

func (c *call) chain(kind, head, rest, value string) (test, error) {
	name, target, _ := strings.Cut(head, ":")
	p, ok := parameter(kind, name)
	if !ok || p.kind != paramReference {
		return nil, unknownParameter(kind, head+"."+rest)
	}
	if target == "" {
		target = p.target
	}
	inner := map[string]test{}
	for _, k := range c.store.kinds {
		if t, err := c.criterion(k, rest, value); err == nil && (target == "" || k == target) {
			inner[k] = t
		}
	}
	if len(inner) == 0 {
		return nil, unknownParameter(kind, head+"."+rest)
	}
	return func(r *resource) bool {
		for _, v := range r.values(p) {
			other, ok := c.store.get(relative(v.Get("reference").Str))
			if ok && inner[other.kind] != nil && inner[other.kind](other) {
				return true
			}
		}
		return false
	}, nil
}

func (c *call) reverseChain(kind, rest, value string) (test, error) {
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) != 3 {
		return nil, unknownParameter(kind, "_has:"+rest)
	}
	p, ok := parameter(parts[0], parts[1])
	if !ok || p.kind != paramReference {
		return nil, unknownParameter(parts[0], parts[1])
	}
	inner, err := c.criterion(parts[0], parts[2], value)
	if err != nil {
		return nil, err
	}
	return func(r *resource) bool {
		return slices.ContainsFunc(c.store.pointing(r.reference(), parts[0]), func(other *resource) bool {
			return other.pointsBy(p, r.reference()) && inner(other)
		})
	}, nil
}

// pointsBy reports whether r's parameter p holds the relative reference.
func (r *resource) pointsBy(p searchParameter, reference string) bool {
	matches := p.matchReference("", reference, basePlaceholder)
	return slices.ContainsFunc(r.values(p), matches)
}
