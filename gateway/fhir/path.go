package fhir

import (
	"slices"
	"strings"
)

// ValidID reports whether s matches FHIR's id grammar, [A-Za-z0-9\-.]{1,64},
// and is not a dot segment. FHIR would allow the ids "." and "..", but below a
// base URL they are other places.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// segments splits an escaped path and decodes each segment once. What a
// segment decodes to must be of FHIR's URL alphabet: letters, digits and
// "-._$*". So an encoded slash, backslash, percent sign (double encoding),
// semicolon, NUL or non-ASCII character is refused, and so are dot segments,
// plain or encoded, and empty segments: "//", and a trailing slash, which
// FHIR's grammar does not have and which proxies disagree about. "/" itself
// and the empty path are the base.
func segments(path string) ([]string, bool) {
	if path == "" || path == "/" {
		return nil, true
	}
	if path[0] != '/' {
		return nil, false
	}
	segs := strings.Split(path[1:], "/")
	for i, s := range segs {
		s, ok := unescape(s, false)
		if !ok || s == "" || s == "." || s == ".." {
			return nil, false
		}
		for j := range len(s) {
			if c := s[j]; !alphanumeric(c) && strings.IndexByte("-._$*", c) < 0 {
				return nil, false
			}
		}
		segs[i] = s
	}
	return segs, true
}

// target is a path as FHIR's grammar reads it, before the method is looked at.
type target struct {
	typ, id, version string
	compartment      Compartment
	operation        string
	kind             place
}

type place uint8

const (
	atBase place = iota
	atMetadata
	atType
	atInstance
	atVersion
	atSearch // _search, with or without a type
	atHistory
	atOperation
	atCompartment
	atCompartmentSearch
)

// compartments are the types that R4 defines a compartment for.
var compartments = []string{"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"}

// locate reads a path. Its errors carry no interaction.
func locate(path string) (target, *Error) {
	segs, ok := segments(path)
	if !ok {
		return target{}, &Error{Kind: MalformedPath}
	}
	var t target
	if len(segs) == 0 {
		return t, nil
	}
	if len(segs) == 1 && segs[0] == "metadata" {
		return target{kind: atMetadata}, nil
	}
	if c := segs[0][0]; c != '_' && c != '$' {
		t.typ, segs = segs[0], segs[1:]
		if !Known(t.typ) {
			e := &Error{Kind: UnknownType}
			if letters(t.typ) {
				e.Type = t.typ
			}
			return target{}, e
		}
		t.kind = atType
		if len(segs) > 0 && segs[0][0] != '_' && segs[0][0] != '$' {
			if !ValidID(segs[0]) {
				return target{}, &Error{Kind: MalformedID, Type: t.typ}
			}
			t.id, segs = segs[0], segs[1:]
			t.kind = atInstance
		}
	}
	return below(t, segs)
}

// below reads what follows the base, a type or an instance.
func below(t target, segs []string) (target, *Error) {
	malformed := &Error{Kind: MalformedPath, Type: t.typ}
	switch {
	case len(segs) == 0:
		return t, nil
	case segs[0] == "_history" && len(segs) == 1:
		t.kind = atHistory
	case segs[0] == "_history" && t.id != "" && len(segs) <= 3:
		if !ValidID(segs[1]) {
			return target{}, &Error{Kind: MalformedID, Type: t.typ}
		}
		t.version, t.kind = segs[1], atVersion
		if len(segs) == 3 {
			if !operationName(segs[2]) {
				return target{}, malformed
			}
			t.operation, t.kind = segs[2][1:], atOperation
		}
	case segs[0] == "_search" && t.id == "" && len(segs) == 1:
		t.kind = atSearch
	case len(segs) == 1 && operationName(segs[0]):
		t.operation, t.kind = segs[0][1:], atOperation
	case t.id != "" && slices.Contains(compartments, t.typ) && (segs[0] == "*" || Known(segs[0])) &&
		(len(segs) == 1 || len(segs) == 2 && segs[1] == "_search"):
		t = target{typ: segs[0], compartment: Compartment{t.typ, t.id}, kind: atCompartment}
		if t.typ == "*" {
			t.typ = ""
		}
		if len(segs) == 2 {
			t.kind = atCompartmentSearch
		}
	default:
		return target{}, malformed
	}
	return t, nil
}

func operationName(s string) bool {
	if len(s) < 2 || s[0] != '$' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func letters(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if s[i]|0x20-'a' >= 26 {
			return false
		}
	}
	return s != ""
}

// grammar is what each method means at each place. HEAD is as GET.
var grammar = [...]map[string]Interaction{
	atBase:              {"GET": SearchSystem, "POST": Batch},
	atMetadata:          {"GET": Capabilities},
	atType:              {"GET": SearchType, "POST": Create, "PUT": Update, "PATCH": Patch, "DELETE": Delete},
	atInstance:          {"GET": Read, "PUT": Update, "PATCH": Patch, "DELETE": Delete},
	atVersion:           {"GET": VRead},
	atSearch:            {"POST": SearchType},
	atHistory:           {"GET": HistoryType},
	atOperation:         {"GET": Operation, "POST": Operation},
	atCompartment:       {"GET": SearchCompartment},
	atCompartmentSearch: {"POST": SearchCompartment},
}

// interaction names what a method means here, or returns the refusal.
func (t target) interaction(method string) (Interaction, *Error) {
	meaning := method
	if method == "HEAD" {
		meaning = "GET"
	}
	is := grammar[t.kind][meaning]
	switch {
	case is == SearchType && t.typ == "":
		is = SearchSystem
	case is == HistoryType && t.typ == "":
		is = HistorySystem
	case is == HistoryType && t.id != "":
		is = HistoryInstance
	}
	if is != "" {
		return is, nil
	}
	e := &Error{Kind: MethodNotAllowed, Type: t.typ}
	for _, m := range [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if grammar[t.kind][strings.Replace(m, "HEAD", "GET", 1)] != "" {
			e.Allow = append(e.Allow, m)
		}
	}
	return "", e
}
