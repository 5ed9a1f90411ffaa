package fhir

import (
	"cmp"
	"slices"
)

// Parse reads one interaction. Every refusal is an *[Error].
func Parse(m Message, l Limits) (*Request, error) {
	l.URLBytes = cmp.Or(max(l.URLBytes, 0), 8192)
	l.Params = cmp.Or(max(l.Params, 0), 64)
	l.ValueBytes = cmp.Or(max(l.ValueBytes, 0), 2048)
	l.FormBytes = cmp.Or(max(l.FormBytes, 0), 65536)
	l.Entries = cmp.Or(max(l.Entries, 0), 100)
	l.Count = cmp.Or(max(l.Count, 0), 1000)
	r, e := parse(m, l)
	if e != nil {
		return nil, e
	}
	return r, nil
}

func parse(m Message, l Limits) (*Request, *Error) {
	p := parser{limits: l}
	if e := p.parse(m); e != nil {
		if e.Entry == 0 {
			e.Interaction = cmp.Or(e.Interaction, p.request.Interaction)
			e.Type = cmp.Or(e.Type, p.request.Type)
		}
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
	if overridden(m.Header) {
		return &Error{Kind: MethodOverride, Type: t.typ}
	}
	is, e := t.interaction(m.Method)
	if e != nil {
		return e
	}
	p.request = Request{
		Interaction: is, Head: m.Method == "HEAD", Type: t.typ, ID: t.id, Version: t.version,
		Compartment: t.compartment, Operation: t.operation,
		Conditional: t.id == "" && (is == Update || is == Patch || is == Delete),
	}
	if e := p.headers(m.Header); e != nil {
		return e
	}
	pairs, e := p.limits.pairs(m.Query)
	if e != nil {
		return e
	}
	form, e := p.body(m)
	if e != nil {
		return e
	}
	if pairs, e = p.limits.merge(pairs, form); e != nil {
		return e
	}
	if is == Operation && m.Method != "POST" {
		pairs = p.arguments(pairs)
	}
	if e := p.parameters(pairs); e != nil {
		return e
	}
	if is == Create {
		if e := p.criteria(m.Header); e != nil {
			return e
		}
	}
	if p.request.Conditional && len(p.request.Params) == 0 {
		return &Error{Kind: MissingParameter} // it would be about every resource of the type
	}
	// _format overrides Accept: http.html, section 3.1.0.1.11.
	if !slices.Contains(p.once, "_format") && !acceptable(values(m.Header, "Accept")) {
		return &Error{Kind: NotAcceptable}
	}
	return nil
}

// parameters reads those of the query and of the form, and holds them to each
// other.
func (p *parser) parameters(pairs []pair) *Error {
	r := &p.request
	for _, one := range pairs {
		if one.head == "_type" { // the others are understood by the types that it names
			if e := p.parameter(one); e != nil {
				return e
			}
		}
	}
	for _, one := range pairs {
		if one.head != "_type" {
			if e := p.parameter(one); e != nil {
				return e
			}
		}
	}
	if r.Page != "" {
		if p.others > 0 {
			return &Error{Kind: BadParameter, Param: "_page"}
		}
		r.Params = nil // a _count that a client adds to every link: the sealed search has its own
		return nil
	}
	if p.applies("_type") && len(r.Types) == 0 {
		return &Error{Kind: MissingParameter, Param: "_type"}
	}
	return p.shape()
}

// arguments takes the parameters of an operation that is called by GET, and
// leaves those of any request.
func (p *parser) arguments(pairs []pair) []pair {
	var rest []pair
	for _, one := range pairs {
		if p.applies(one.head) {
			rest = append(rest, one)
		} else {
			p.request.Params = append(p.request.Params, Param{Name: one.name, Values: []string{one.value}})
		}
	}
	return rest
}

// parameter reads one parameter into the request.
func (p *parser) parameter(one pair) *Error {
	if p.applies(one.head) {
		return p.result(one)
	}
	search := p.request.Interaction.Searches() || p.request.Conditional
	if slices.Contains(reserved, one.head) && p.request.Interaction != Capabilities && !(search && one.head == "_has") {
		return &Error{Kind: NotSupported, Param: one.head}
	}
	p.others++
	e := &Error{Kind: UnknownParameter, Param: one.name}
	if search {
		e = p.criterion(one)
	}
	if e != nil && e.Kind == UnknownParameter && p.lenient {
		p.request.Dropped = append(p.request.Dropped, one.name)
		return nil
	}
	return e
}
