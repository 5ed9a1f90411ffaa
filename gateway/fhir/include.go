package fhir

import (
	"slices"
	"strings"
)

// include reads an _include or _revinclude: "Source:parameter[:Target]" or
// "Source:*[:Target]"; "*" alone, in _include, stands for the searched type's
// (search.html, section 2.21.1.9). Without :iterate an _include starts at a
// type that is searched, and a _revinclude points to one.
func (p *parser) include(one pair) *Error {
	bad := &Error{Kind: BadParameter, Param: one.head}
	i := Include{Reverse: one.head == "_revinclude"}
	switch one.rest {
	case "":
	case ":iterate":
		i.Iterate = true
	case ":recurse": // the name that :iterate had before R4
		return &Error{Kind: NotSupported, Param: one.head, Modifier: "recurse"}
	default:
		return bad
	}
	types, parts := p.types(), strings.Split(one.value, ":")
	if one.value == "*" && !i.Reverse && len(types) == 1 {
		parts = []string{types[0], "*"}
	}
	if len(parts) < 2 || len(parts) > 3 || !Known(parts[0]) {
		return bad
	}
	i.Source, i.All = parts[0], parts[1] == "*"
	if len(parts) == 3 {
		if i.Target = parts[2]; !Known(i.Target) {
			return bad
		}
	}
	if !i.All {
		def, ok := Parameter(i.Source, parts[1])
		if !ok || def.Type != Reference || i.Target != "" && !def.to(i.Target) {
			return bad
		}
		i.Param = def
	}
	if !i.Iterate && !i.starts(types) {
		return bad
	}
	p.request.Includes = append(p.request.Includes, i)
	return nil
}

// starts reports whether the include has to do with one of the searched types.
func (i Include) starts(types []string) bool {
	if !i.Reverse {
		return slices.Contains(types, i.Source)
	}
	return slices.ContainsFunc(types, func(t string) bool {
		return (i.Target == "" || i.Target == t) && (i.All || i.Param.to(t))
	})
}

// Params are the reference parameters that the include follows.
func (i Include) Params() []*SearchParameter {
	if !i.All {
		return []*SearchParameter{i.Param}
	}
	var all []*SearchParameter
	for p := range Parameters(i.Source) {
		if p.Type == Reference && (i.Target == "" || p.to(i.Target)) {
			all = append(all, p)
		}
	}
	return all
}

// Name is the name of the parameter: "_revinclude:iterate".
func (i Include) Name() string {
	name := "_include"
	if i.Reverse {
		name = "_revinclude"
	}
	if i.Iterate {
		name += ":iterate"
	}
	return name
}

// Encode writes the include as part of a query string.
func (i Include) Encode() string {
	var b strings.Builder
	b.WriteString(i.Name() + "=" + i.Source + ":")
	if i.All {
		encodeValue(&b, "*")
	} else {
		b.WriteString(i.Param.Name)
	}
	if i.Target != "" {
		b.WriteString(":" + i.Target)
	}
	return b.String()
}
