package reference

import (
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// whole is what method reference leaves of a Reference.
func (r *oracle) whole(path string, v any) any {
	object, _ := v.(map[string]any)
	s, ok := object["reference"].(string)
	if !ok {
		return nil
	}
	ref, ok := r.reference(s)
	if !ok {
		return nil
	}
	out := map[string]any{"reference": r.rewrite(path, ref)}
	if kind, ok := object["type"].(string); ok {
		out["type"] = kind
	}
	return out
}

// special are the names that keeping leaves out unless a row names them. A text is left out only where it is a
// narrative.
var special = []string{"extension", "modifierExtension", "contained", "div", "display", "text"}

// widen adds what a row lets pass within its element: its own name, if that is special, and a narrative's div.
func widen(allowed []string, path string) []string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	allowed = append(slices.Clip(allowed), name)
	if name == "text" {
		allowed = append(allowed, "div")
	}
	return allowed
}

// context is where below a kept row a value is.
type context struct {
	root     string   // path of the row
	allowed  []string // special names that leave
	resource bool     // it is the resource itself
	odd      bool     // below an underscore or in a list of lists, where rows and compartments mean nothing
}

// keep prunes a value of a kept place.
func (r *oracle) keep(c context, p place, path string, v any, sibling bool) any {
	return r.keepBy(c, func(any) place { return p }, path, v, sibling)
}

func (r *oracle) keepBy(c context, at func(any) place, path string, v any, sibling bool) any {
	switch v := v.(type) {
	case map[string]any:
		return r.keepObject(c, at(v), path, v)
	case []any:
		var out []any
		some := false
		for _, v := range v {
			c := c
			_, list := v.([]any)
			c.odd = c.odd || list
			kept := r.keepBy(c, at, path, v, false)
			_, object := v.(map[string]any)
			if kept != nil || v == nil || object && sibling {
				out = append(out, kept)
				some = some || kept != nil
			}
		}
		if !some {
			return nil
		}
		return out
	}
	return v
}

func (r *oracle) keepObject(c context, p place, path string, object map[string]any) any {
	out := map[string]any{}
	for name, v := range object {
		base, sibling := strings.CutPrefix(name, "_")
		at, sub := below(path, base), going(p.rows, base)
		in := c
		in.odd, in.resource = c.odd || sibling, false
		if c.resource {
			switch {
			case base == "resourceType", name == "_meta" && len(sub) == 0, name == "id" && !isText(v):
				continue
			case r.inside && base == "meta":
				continue
			case name == "contained", r.inside && name == "id":
				kept := r.contained(v)
				if name == "id" {
					kept = r.localID(v)
				}
				if kept != nil {
					out[name] = kept
				}
				continue
			case base == "id" && len(sub) == 0:
				sub = []line{{rule: transforms.Rule{Method: transforms.Keep}, rest: []pathStep{{name: "id"}}}}
			}
		}
		own := slices.ContainsFunc(sub, func(l line) bool { return len(l.rest) == 1 })
		leftOut := slices.Contains(special, base)
		if p.star != nil && (own || conditioned(sub) || leftOut && len(sub) > 0) {
			star := p.star
			if leftOut { // a * does not reach what it leaves out: the rows alone count
				star = nil
			}
			var kept any
			if !c.odd {
				kept = r.member(sub, star, at, v, sibling)
			} else if here := settle(met(sub, nil), star, at); !conditioned(sub) && here.own != nil &&
				here.own.rule.Method == transforms.Keep && base != "reference" {
				kept = r.keep(context{root: at, allowed: widen(nil, at), odd: true}, here, at, v, sibling)
			}
			if kept != nil {
				out[name] = kept
			}
			continue
		}
		if slices.Contains(special, base) && !slices.Contains(c.allowed, base) && conditioned(sub) && !sibling {
			one := func(v any) any {
				if object, ok := v.(map[string]any); ok {
					if here := settle(met(sub, v), nil, at); here.own != nil {
						in := in
						in.allowed = widen(c.allowed, at)
						return r.keepObject(in, here, at, object)
					}
				}
				return nil
			}
			var kept any
			if array, ok := v.([]any); ok {
				kept = each(array, one)
			} else {
				kept = one(v)
			}
			if kept != nil {
				out[name] = kept
			}
			continue
		}
		if own && !conditioned(sub) {
			in.allowed = widen(c.allowed, at)
		}
		if slices.Contains(special, base) && !slices.Contains(in.allowed, base) {
			if _, narrative := object["text"].(map[string]any); base != "text" || narrative {
				continue
			}
		}
		if _, list := object["reference"].([]any); list && base == "reference" {
			continue
		}
		if s, ok := object["reference"].(string); ok && base == "reference" {
			ref, ok := r.reference(s)
			if !ok {
				continue
			}
			if name == "reference" {
				out[name] = r.rewrite(c.root, ref)
				continue
			}
		}
		if kept := r.keepBy(in, func(v any) place { return settle(met(sub, v), p.star, at) }, at, v, sibling); kept != nil {
			out[name] = kept
		}
	}
	return unlessEmpty(out)
}
