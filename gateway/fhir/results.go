package fhir

import (
	"slices"
	"strconv"
	"strings"
)

// reserved are parameters of FHIR (R4, and R5 where clients send them already)
// that are never dropped as unknown where they do not apply: an answer without
// them would be another answer. Those that shape the answer apply to some
// interactions; the others are understood and refused on all.
var reserved = []string{
	"_total", "_summary", "_elements", "_include", "_revinclude", "_type", "_since", "_at",
	"_contained", "_containedType", "_filter", "_text", "_content", "_list", "_query", "_in", "_has",
}

// applies reports whether a name is that of a result parameter that has a
// meaning here.
func (p *parser) applies(name string) bool {
	is := p.request.Interaction
	switch name {
	case "_format", "_pretty":
		return true
	case "mode":
		return is == Capabilities
	case "_summary", "_elements": // http.html, section 3.1.0.1.11
		return is.Searches() || is.History() || is == Read || is == VRead
	case "_count", "_page":
		return is.Searches() || is.History()
	case "_since", "_at": // http.html, section 3.1.0.11
		return is.History()
	case "_sort", "_include", "_revinclude", "_total":
		return is.Searches()
	case "_type":
		return is.Searches() && p.request.Type == ""
	}
	return false
}

// result reads one of the parameters that shape the answer.
func (p *parser) result(one pair) *Error {
	if one.head == "_include" || one.head == "_revinclude" {
		p.others++
		return p.include(one)
	}
	bad := badParameter(one.head)
	if one.rest != "" || slices.Contains(p.once, one.head) {
		return bad.unless(false)
	}
	p.once = append(p.once, one.head)
	switch one.head {
	case "_format", "_pretty", "_page", "_count":
	default:
		p.others++
	}
	r, v := &p.request, one.value
	switch one.head {
	case "_format":
		if !formatted(v) {
			return &Error{Kind: NotAcceptable, Param: "_format"}
		}
		return nil
	case "_pretty":
		r.Pretty = v == "true"
		return bad.unless(v == "true" || v == "false")
	case "mode": // http.html, section 3.1.0.14
		if v == "normative" || v == "terminology" {
			return &Error{Kind: NotSupported, Param: "mode"}
		}
		return bad.unless(v == "full")
	case "_page":
		r.Page = v
		return bad.unless(sealed(v))
	case "_summary":
		r.Summary = v
		return bad.unless(slices.Contains([]string{"true", "text", "data", "count", "false"}, v) &&
			(v != "count" || r.Interaction.Searches()))
	case "_total":
		r.Total = v
		return bad.unless(v == "none" || v == "estimate" || v == "accurate")
	case "_elements":
		r.Elements = strings.Split(v, ",")
		return bad.unless(!slices.ContainsFunc(r.Elements, func(name string) bool { return !elementName(name) }))
	case "_type":
		r.Types = strings.Split(v, ",")
		for i, t := range r.Types {
			if !Known(t) || slices.Contains(r.Types[:i], t) {
				return bad.unless(false)
			}
		}
		return nil
	}
	values := []string{v}
	var sort []*SearchParameter
	switch one.head {
	case "_count":
		n, ok := count(v, p.limits.Count)
		if !ok {
			return bad.unless(false)
		}
		values[0] = strconv.Itoa(n)
	case "_since":
		if !instantForm.MatchString(v) {
			return bad.unless(false)
		}
	case "_at":
		if !dateForm.MatchString(v) {
			return bad.unless(false)
		}
	case "_sort":
		values = strings.Split(v, ",")
		var kind Kind
		if sort, kind = sorted(p.types(), values); kind != "" {
			return &Error{Kind: kind, Param: "_sort"}
		}
	}
	r.Params = append(r.Params, Param{Name: one.head, Values: values, sort: sort})
	return nil
}

// badParameter is the name of a parameter whose value may be bad.
type badParameter string

// unless is the refusal, or nil where ok.
func (name badParameter) unless(ok bool) *Error {
	if ok {
		return nil
	}
	return &Error{Kind: BadParameter, Param: string(name)}
}

// shape refuses result parameters that contradict each other: search.html,
// section 2.21.1.10, has no _summary=text beside an _include.
func (p *parser) shape() *Error {
	r := &p.request
	reduced := r.Summary != "" && r.Summary != "false"
	if reduced && r.Elements != nil || len(r.Includes) > 0 && (r.Summary == "text" || r.Summary == "count") {
		return &Error{Kind: BadParameter, Param: "_summary"}
	}
	return nil
}

// sorted are the parameters that the keys of _sort name, of the first type;
// each type must have them. It returns why not, or "".
func sorted(types, keys []string) ([]*SearchParameter, Kind) {
	sort := make([]*SearchParameter, 0, len(keys))
	for _, key := range keys {
		key = strings.TrimPrefix(key, "-")
		if key == "_score" {
			return nil, NotSupported
		}
		for i, typ := range types {
			// A composite or special parameter has no order.
			def, ok := Parameter(typ, key)
			if !ok || def.Type == Composite || def.Type == Special {
				return nil, BadParameter
			}
			if i == 0 {
				sort = append(sort, def)
			}
		}
	}
	return sort, ""
}

// elementName reports whether s can name an element at the top of a resource.
func elementName(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) || i == 0 && s[i]-'a' >= 26 {
			return false
		}
	}
	return s != "" && len(s) <= 64
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
