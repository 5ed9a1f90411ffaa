package gateway_test

import (
	"strings"

	"github.com/tidwall/gjson"
)

// A resource as a tree that keeps the order of its members: a value is an object (members), a
// list ([]any) or the text of a scalar.
type (
	members []member
	member  struct {
		name  string
		value any
	}
)

func parseTree(v gjson.Result) any {
	switch {
	case v.IsObject():
		o := members{}
		v.ForEach(func(k, v gjson.Result) bool {
			o = append(o, member{k.Str, parseTree(v)})
			return true
		})
		return o
	case v.IsArray():
		l := []any{}
		v.ForEach(func(_, v gjson.Result) bool {
			l = append(l, parseTree(v))
			return true
		})
		return l
	}
	return v.Raw
}

func appendTree(dst []byte, v any) []byte {
	switch v := v.(type) {
	case members:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, quoted(m.name)...)
			dst = appendTree(append(dst, ':'), m.value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendTree(dst, e)
		}
		return append(dst, ']')
	}
	return append(dst, v.(string)...)
}

func quoted(s string) string { return string(gjson.AppendJSONString(nil, s)) }

func (o members) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// put sets a member, the last where it is new.
func (o members) put(name string, v any) members {
	for i := range o {
		if o[i].name == name {
			o[i].value = v
			return o
		}
	}
	return append(o, member{name, v})
}

// edited is a value with another one at a path, in the first element of each list on the way.
func edited(v any, path string, to any) any {
	name, rest, deeper := strings.Cut(path, ".")
	switch v := v.(type) {
	case []any:
		if len(v) > 0 {
			v[0] = edited(v[0], path, to)
		}
	case members:
		below := v.get(name)
		switch {
		case !deeper:
			if l, ok := below.([]any); ok && len(l) > 0 {
				l[0], to = to, l
			}
			return v.put(name, to)
		case below != nil:
			return v.put(name, edited(below, rest, to))
		}
	}
	return v
}

// leaves calls f for every scalar and Reference below v, with its element path: of lists, the
// path of each element.
func leaves(v any, path string, f func(path string, v any)) {
	switch v := v.(type) {
	case members:
		if v.get("reference") != nil {
			f(path, v)
			return
		}
		for _, m := range v {
			leaves(m.value, strings.TrimPrefix(path+"."+m.name, "."), f)
		}
	case []any:
		for _, e := range v {
			leaves(e, path, f)
		}
	default:
		f(path, v)
	}
}
