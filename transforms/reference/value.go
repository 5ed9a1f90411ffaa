package reference

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// member prunes the value of a member that rows name.
func (r *oracle) member(sub []line, star *string, at string, v any, sibling bool) any {
	if !conditioned(sub) {
		return r.value(settle(met(sub, nil), star, at), star, at, v, sibling)
	}
	one := func(v any) any {
		if _, lists := v.([]any); lists {
			return nil
		}
		return r.value(settle(met(sub, v), star, at), star, at, v, false)
	}
	array, ok := v.([]any)
	switch {
	case sibling:
		return nil
	case ok:
		return each(array, one)
	}
	return one(v)
}

// value prunes a value; star is that above it.
func (r *oracle) value(p place, star *string, at string, v any, sibling bool) any {
	switch {
	case p.own == nil && p.star != nil && star != nil:
		return r.keep(context{root: *p.star}, p, at, v, sibling)
	case p.own == nil && sibling:
		return nil
	case p.own == nil:
		return objects(v, func(object map[string]any) any {
			if p.star != nil {
				return r.keepObject(context{root: *p.star}, p, at, object)
			}
			return r.object(p, at, object)
		})
	case p.own.rule.Method == transforms.Keep:
		if s, ok := v.(string); ok && at[strings.LastIndexByte(at, '.')+1:] == "reference" && !sibling {
			if ref, ok := r.reference(s); ok {
				return r.rewrite(at, ref)
			}
			return nil
		}
		return r.keep(context{root: at, allowed: widen(nil, at), odd: sibling}, p, at, v, sibling)
	case sibling, p.own.rule.Method == transforms.Remove:
		return nil
	}
	return r.leaf(at, p.own.rule, v)
}

// objects prunes an object, or each of a list.
func objects(v any, f func(map[string]any) any) any {
	one := func(v any) any {
		if object, ok := v.(map[string]any); ok {
			return f(object)
		}
		return nil
	}
	if array, ok := v.([]any); ok {
		return each(array, one)
	}
	return one(v)
}

// each is the array of what f makes of the elements, without what it made nothing of.
func each(array []any, f func(any) any) any {
	var out []any
	for _, v := range array {
		if v = f(v); v != nil {
			out = append(out, v)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

func unlessEmpty(object map[string]any) any {
	if len(object) == 0 {
		return nil
	}
	return object
}

var year = regexp.MustCompile(`^([0-9]{4})(-|$)`)

// leaf applies a method other than Keep.
func (r *oracle) leaf(path string, rule transforms.Rule, v any) any {
	method := rule.Method
	kind := r.element(path)
	if path == "id" {
		kind = r.kind
	}
	one := func(v any) any {
		if method == transforms.Fixed {
			switch v.(type) {
			case string, json.Number, bool:
				fixed, err := Parse([]byte(`{"x":` + rule.Value + `}`))
				if err != nil {
					r.fail(err)
					return nil
				}
				return fixed.(map[string]any)["x"]
			}
			return nil
		}
		switch s, text := v.(string); {
		case method == transforms.Reference:
			return r.whole(path, v)
		case !text:
			return nil
		case method == transforms.Token:
			r.tokenized[r.element(path)]++
			return r.token(kind, s)
		case method == transforms.Hash:
			hash, err := r.o.Hash.AppendHash(nil, kind, []byte(s))
			if err != nil {
				r.fail(transforms.ErrToken)
			}
			return string(hash)
		case method == transforms.Mask:
			return "***"
		case method == transforms.Year:
			if m := year.FindStringSubmatch(s); m != nil {
				return m[1]
			}
		case method == transforms.Month:
			if m := aDate.FindStringSubmatch(s); m != nil && isDay(m[1]) {
				return s[:min(len(s), 7)]
			}
		case method == transforms.Shift:
			if m := aDate.FindStringSubmatch(s); m != nil && isDay(m[1]) && (m[2] == "" || aTime.MatchString(m[2])) {
				return unmoved(s)
			}
		}
		return nil
	}
	if array, ok := v.([]any); ok {
		return each(array, one)
	}
	return one(v)
}
