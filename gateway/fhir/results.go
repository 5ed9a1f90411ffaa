package fhir

import (
	"strconv"
	"strings"
)

// unsupported are parameters of FHIR (R4, and R5 where clients send them
// already) that the gateway understands and refuses, whatever follows their
// name (_include:iterate, _has:Observation:patient:code). They are never
// dropped as unknown: an answer without them would be another answer.
var unsupported = []string{
	"_total", "_summary", "_elements", "_include", "_revinclude", "_contained", "_containedType",
	"_filter", "_text", "_content", "_list", "_query", "_has", "_type", "_since", "_at", "_in",
}

// applies reports whether a result parameter has a meaning here.
func (p *parser) applies(name string) bool {
	switch name {
	case "_format", "_pretty":
		return true
	case "mode":
		return p.request.Interaction == Capabilities
	}
	return p.request.Interaction == SearchType
}

// result reads one of the parameters that shape the answer; bad is the refusal
// of its value.
func (p *parser) result(one pair, bad *Error) *Error {
	r, v := &p.request, one.value
	switch one.head {
	case "_format":
		if !formatted(v) {
			return &Error{Kind: NotAcceptable, Param: "_format"}
		}
	case "_pretty":
		if v != "true" && v != "false" {
			return bad
		}
		r.Pretty = v == "true"
	case "mode": // http.html, section 3.1.0.14
		switch v {
		case "full":
		case "normative", "terminology":
			return &Error{Kind: NotSupported, Param: "mode"}
		default:
			return bad
		}
	case "_page":
		if !sealed(v) {
			return bad
		}
		r.Page = v
	case "_count":
		n, ok := count(v, p.limits.Count)
		if !ok {
			return bad
		}
		r.Params = append(r.Params, Param{Name: "_count", Values: []string{strconv.Itoa(n)}})
	case "_sort":
		keys := strings.Split(v, ",")
		sort := make([]*SearchParameter, 0, len(keys))
		for _, key := range keys {
			key = strings.TrimPrefix(key, "-")
			if key == "_score" {
				return &Error{Kind: NotSupported, Param: "_sort"}
			}
			// A composite or special parameter has no order.
			def, ok := Parameter(r.Type, key)
			if !ok || def.Type == Composite || def.Type == Special {
				return bad
			}
			sort = append(sort, def)
		}
		p.others++
		r.Params = append(r.Params, Param{Name: "_sort", Values: keys, sort: sort})
	}
	return nil
}

// count reads a non-negative integer and lowers it to the limit: a server may
// return fewer than asked (search.html, section 2.21.1.6.3).
func count(v string, limit int) (int, bool) {
	for i := range len(v) {
		if v[i]-'0' >= 10 {
			return 0, false
		}
	}
	if v == "" {
		return 0, false
	}
	n, err := strconv.Atoi(v)
	if err != nil || n > limit { // digits alone: too many of them
		n = limit
	}
	return n, true
}

// sealed reports whether v has the alphabet of the gateway's own page links.
func sealed(v string) bool {
	for i := range len(v) {
		if c := v[i]; !alphanumeric(c) && strings.IndexByte("-_.~", c) < 0 {
			return false
		}
	}
	return v != ""
}
