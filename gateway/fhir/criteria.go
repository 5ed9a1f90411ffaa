package fhir

import (
	"slices"
	"strings"
)

// maxLinks bounds the steps of a chain: each is a join for the EHR.
const maxLinks = 4

// criterion reads a search parameter into the request. Of a search of several
// types each must have it, in the same form (search.html, section 2.21.1.2);
// the request then holds the first one's, and [Param.For] gives the others.
func (p *parser) criterion(one pair) *Error {
	types := p.types()
	var param Param
	for i, typ := range types {
		found, e := resolve(typ, one.name)
		if e != nil && e.Kind == UnknownParameter && slices.ContainsFunc(types, func(t string) bool {
			_, known := Parameter(t, one.head)
			return known
		}) {
			e.Kind = BadParameter // known, but not to each type: lenience does not drop it
		}
		if e != nil {
			return e
		}
		if i == 0 {
			param = found
		}
		alternatives := Split(one.value, ',')
		if len(alternatives) > 1 && (found.Modifier == "missing" || found.Definition.Type == Composite) {
			return &Error{Kind: BadParameter, Param: one.head}
		}
		for _, v := range alternatives {
			if !found.Definition.admits(found.Modifier, v) {
				return &Error{Kind: BadParameter, Param: one.head}
			}
		}
		if found.Name != param.Name || found.Definition.Type != param.Definition.Type {
			return &Error{Kind: BadParameter, Param: one.head}
		}
		param.Values = alternatives
	}
	p.request.Params = append(p.request.Params, param)
	return nil
}

// types are those of whose parameters a search is made.
func (p *parser) types() []string {
	if p.request.Type != "" {
		return []string{p.request.Type}
	}
	return p.request.Types
}

// resolve reads a parameter's whole name from a type:
//
//	name     = *link parameter [":" modifier]
//	link     = parameter [":" Type] "." / "_has:" Type ":" parameter ":"
//
// FHIR R4, search.html, sections 2.21.1.6 (chained parameters) and 2.21.1.7
// (reverse chaining). A chain that does not say to which type it goes is taken
// only where one alone of the reference's types has the next parameter, and is
// sent on with that type said.
func resolve(resourceType, name string) (Param, *Error) {
	head, _ := cutHead(name)
	bad := &Error{Kind: BadParameter, Param: head}
	var p Param
	typ, rest := resourceType, name
	for {
		code, after := cutHead(rest)
		if code == "_has" {
			link, next, ok := reverse(typ, after)
			if !ok {
				return Param{}, bad
			}
			p.Links, p.Name = append(p.Links, link), p.Name+"_has:"+link.Type+":"+link.Definition.Name+":"
			typ, rest = link.Type, next
		} else {
			def, ok := Parameter(typ, code)
			if !ok && len(p.Links) == 0 {
				return Param{}, &Error{Kind: UnknownParameter, Param: name}
			}
			if !ok || after == ":" {
				return Param{}, bad
			}
			modifier, next, chain := strings.Cut(strings.TrimPrefix(after, ":"), ".")
			if !chain {
				return p.last(def, modifier, head)
			}
			target, ok := def.leads(modifier, next)
			if !ok {
				return Param{}, bad
			}
			p.Links, p.Name = append(p.Links, Link{Type: typ, Definition: def, Target: target}), p.Name+code+":"+target+"."
			typ, rest = target, next
		}
		if len(p.Links) > maxLinks {
			return Param{}, &Error{Kind: NotSupported, Param: head}
		}
	}
}

// last ends a name with the parameter that compares.
func (p Param) last(def *SearchParameter, modifier, head string) (Param, *Error) {
	if def.Type == Special {
		return Param{}, &Error{Kind: NotSupported, Param: head}
	}
	if kind := def.modified(modifier); kind != "" {
		return Param{}, &Error{Kind: kind, Param: head, Modifier: modifier}
	}
	p.Name, p.Modifier, p.Definition = p.Name+def.Name, modifier, def
	return p, nil
}

// reverse reads what follows "_has": ":Type:parameter:next".
func reverse(target, after string) (Link, string, bool) {
	parts := strings.SplitN(after, ":", 4)
	if len(parts) != 4 || parts[0] != "" || parts[3] == "" {
		return Link{}, "", false
	}
	def, ok := Parameter(parts[1], parts[2])
	return Link{Type: parts[1], Definition: def, Target: target, Reverse: true}, parts[3], ok && def.to(target)
}

// leads is the type to which a chain goes on from a reference parameter, by its
// modifier or because no other has the parameter that comes next.
func (p *SearchParameter) leads(modifier, next string) (string, bool) {
	if p.Type != Reference {
		return "", false
	}
	if modifier != "" {
		return modifier, Known(modifier) && p.to(modifier)
	}
	code, _ := cutHead(next)
	found := ""
	for _, target := range p.Targets {
		if _, ok := Parameter(target, code); !ok && code != "_has" {
			continue
		}
		if found != "" {
			return "", false
		}
		found = target
	}
	return found, found != ""
}

// to reports whether a reference parameter can point to a type.
func (p *SearchParameter) to(target string) bool {
	return p.Type == Reference && (p.Targets == nil || slices.Contains(p.Targets, target))
}

// cutHead cuts a name after its first parameter: "subject", ":Patient.name".
func cutHead(name string) (head, rest string) {
	if i := strings.IndexAny(name, ":."); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// For is the parameter as a search of several types reads it of one of them.
func (p Param) For(resourceType string) (Param, bool) {
	switch {
	case p.sort != nil:
		sort, kind := sorted([]string{resourceType}, p.Values)
		p.sort = sort
		return p, kind == ""
	case p.Definition == nil:
		return p, true
	}
	found, e := resolve(resourceType, p.Name)
	found.Modifier, found.Values = p.Modifier, p.Values
	return found, e == nil && found.Definition.modified(p.Modifier) == ""
}

// CanonicalName is a search parameter's name, with its chain or _has, in the one
// form that [Param.Name] has: "patient.birthdate" of an Appointment is
// "patient:Patient.birthdate". It knows no modifiers.
func CanonicalName(resourceType, name string) (string, bool) {
	p, e := resolve(resourceType, name)
	return p.Name, e == nil && p.Modifier == ""
}
