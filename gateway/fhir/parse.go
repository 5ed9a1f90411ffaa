package fhir

import (
	"cmp"
	"slices"
	"strings"
)

// Parse reads one interaction. Every refusal is an *[Error].
func Parse(m Message, l Limits) (*Request, error) {
	l.URLBytes = cmp.Or(max(l.URLBytes, 0), 8192)
	l.Params = cmp.Or(max(l.Params, 0), 64)
	l.ValueBytes = cmp.Or(max(l.ValueBytes, 0), 2048)
	l.Count = cmp.Or(max(l.Count, 0), 1000)
	p := parser{limits: l}
	if e := p.parse(m); e != nil {
		e.Interaction = cmp.Or(e.Interaction, p.request.Interaction)
		e.Type = cmp.Or(e.Type, p.request.Type)
		return nil, e
	}
	return &p.request, nil
}

// parser is one run of Parse.
type parser struct {
	request Request
	limits  Limits
	lenient bool
	others  int      // parameters that _page does not tolerate beside it
	once    []string // result parameters seen: they may stand once
}

func (p *parser) parse(m Message) *Error {
	if len(m.Path)+len(m.Query) > p.limits.URLBytes {
		return &Error{Kind: TooLong}
	}
	t, e := locate(m.Path)
	if e != nil {
		return e
	}
	for _, name := range overrides {
		if values(m.Header, name) != nil {
			return &Error{Kind: MethodOverride, Type: t.typ}
		}
	}
	is, e := t.interaction(m.Method)
	if e != nil {
		return e
	}
	p.request = Request{Interaction: is, Head: m.Method == "HEAD", Type: t.typ, ID: t.id, Version: t.version}
	p.lenient = lenient(values(m.Header, "Prefer"))
	pairs, e := p.limits.pairs(m.Query)
	if e != nil {
		return e
	}
	for _, one := range pairs {
		if e := p.parameter(one); e != nil {
			return e
		}
	}
	if p.request.Page != "" {
		if p.others > 0 {
			return &Error{Kind: BadParameter, Param: "_page"}
		}
		p.request.Params = nil // a _count that a client adds to every link: the sealed search has its own
	}
	// _format overrides Accept: http.html, section 3.1.0.1.11.
	if !slices.Contains(p.once, "_format") && !acceptable(values(m.Header, "Accept")) {
		return &Error{Kind: NotAcceptable}
	}
	return nil
}

// parameter reads one parameter of the query into the request.
func (p *parser) parameter(one pair) *Error {
	search := p.request.Interaction == SearchType
	bad := &Error{Kind: BadParameter, Param: one.head}
	switch one.head {
	case "_format", "_pretty", "_count", "_sort", "_page", "mode":
		if !p.applies(one.head) {
			break
		}
		if one.rest != "" || slices.Contains(p.once, one.head) {
			return bad
		}
		p.once = append(p.once, one.head)
		return p.result(one, bad)
	}
	if slices.Contains(unsupported, one.head) && p.request.Interaction != Capabilities {
		return &Error{Kind: NotSupported, Param: one.head}
	}
	p.others++
	if def, ok := Parameter(p.request.Type, one.head); ok && search {
		return p.search(one, def)
	}
	if p.lenient {
		p.request.Dropped = append(p.request.Dropped, one.name)
		return nil
	}
	return &Error{Kind: UnknownParameter, Param: one.name}
}

// search reads a search parameter.
func (p *parser) search(one pair, def *SearchParameter) *Error {
	chain := strings.Contains(one.rest, ".")
	if def.Type == Special || chain && def.Type == Reference {
		return &Error{Kind: NotSupported, Param: one.head}
	}
	if chain || one.rest == ":" {
		return &Error{Kind: BadParameter, Param: one.head}
	}
	modifier := strings.TrimPrefix(one.rest, ":")
	if kind := def.modified(modifier); kind != "" {
		return &Error{Kind: kind, Param: one.head, Modifier: modifier}
	}
	alternatives := Split(one.value, ',')
	for _, v := range alternatives {
		if !def.admits(modifier, v) || modifier == "missing" && len(alternatives) > 1 {
			return &Error{Kind: BadParameter, Param: one.head}
		}
	}
	p.request.Params = append(p.request.Params, Param{Name: one.head, Modifier: modifier, Values: alternatives, Definition: def})
	return nil
}
