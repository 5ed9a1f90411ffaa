package fhir

import "strings"

// Parse reads one interaction. Every refusal is an *[Error].
func Parse(m Message, l Limits) (*Request, error) {
	t, e := locate(m.Path)
	if e != nil {
		return nil, e
	}
	is, e := t.interaction(m.Method)
	if e != nil {
		return nil, e
	}
	r := &Request{Interaction: is, Head: m.Method == "HEAD", Type: t.typ, ID: t.id, Version: t.version}
	if m.Query == "" {
		return r, nil
	}
	for piece := range strings.SplitSeq(m.Query, "&") {
		name, value, _ := strings.Cut(piece, "=")
		text, ok := unescape(value, true)
		if !ok {
			return nil, &Error{Kind: MalformedQuery, Interaction: is, Type: t.typ}
		}
		def, ok := Parameter(t.typ, name)
		if !ok {
			return nil, &Error{Kind: UnknownParameter, Interaction: is, Type: t.typ}
		}
		r.Params = append(r.Params, Param{Name: name, Values: strings.Split(text, ","), Definition: def})
	}
	return r, nil
}
