package fhir

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// Checkable reports whether [Param.Meets] can tell what the parameter would find: a token, a reference or
// a URI that is read off the resource itself. What servers compare each in their own way (texts, dates,
// numbers, the system of a telephone number) is not.
func (p Param) Checkable() bool {
	return p.Definition != nil && p.Modifier == "" && len(p.Links) == 0 && p.Definition.checkable()
}

func (p *SearchParameter) checkable() bool {
	return p.whole != nil && !p.contact && (p.Type == Token || p.Type == Reference || p.Type == URI)
}

// Meets reports whether a search by the parameter would find the resource, which is of the given type; bases are the
// server's own addresses, in front of a reference. It never says so of one that a server which keeps to
// FHIR R4, search.html, section 2.21.1.5, would not find; of some it does not although that server would, where
// code's case does not count or its system is only implied. Of what is not [Param.Checkable] nothing is met.
func (p Param) Meets(resourceType string, resource gjson.Result, bases []string) bool {
	def, ok := Parameter(resourceType, p.Name)
	if !ok || !p.Checkable() || !def.checkable() {
		return false
	}
	for _, path := range def.whole {
		member := def.token(path)
		met := within(resource, strings.Split(path, "."), func(v gjson.Result) bool {
			return slices.ContainsFunc(p.Values, func(value string) bool {
				switch def.Type {
				case Token:
					return isCode(v, member, value)
				case Reference:
					return def.isReference(v, value, bases)
				}
				return v.Type == gjson.String && v.Str == Unescape(value)
			})
		})
		if met {
			return true
		}
	}
	return false
}

// within reports whether one of the values at a path is what is looked for.
func within(v gjson.Result, path []string, is func(gjson.Result) bool) (found bool) {
	switch {
	case v.IsArray():
		v.ForEach(func(_, one gjson.Result) bool {
			found = within(one, path, is)
			return !found
		})
	case len(path) == 0:
		return is(v)
	case v.IsObject():
		v.ForEach(func(key, below gjson.Result) bool {
			found = key.Str == path[0] && within(below, path[1:], is)
			return !found
		})
	}
	return found
}

// token is the member of an element that holds a code, behind "coding." where it has several; empty
// where the element is the code itself.
func (p *SearchParameter) token(path string) string {
	for _, member := range []string{"coding.code", "code", "value"} {
		if slices.Contains(p.Elements, path+"."+member) {
			return member
		}
	}
	return ""
}

// isCode compares by FHIR R4, search.html, section 2.21.1.5.6: code, system|code, |code or system|.
func isCode(v gjson.Result, member, value string) bool {
	parts := Split(value, '|')
	code := Unescape(parts[len(parts)-1])
	if member == "" { // its system, if it has one, the definition only implies
		is := v.Type == gjson.String || v.Type == gjson.True || v.Type == gjson.False
		return len(parts) == 1 && is && v.String() == code
	}
	member, several := strings.CutPrefix(member, "coding.")
	if several {
		return within(v, []string{"coding"}, func(coding gjson.Result) bool { return isCode(coding, member, value) })
	}
	has, system := v.Get(member), v.Get("system")
	switch {
	case has.Type != gjson.String, code != "" && has.Str != code:
		return false
	case len(parts) == 1:
		return true
	case parts[0] == "":
		return !system.Exists()
	}
	return system.Type == gjson.String && system.Str == Unescape(parts[0])
}

// isReference compares by section 2.21.1.5.8: id, Type/id, or a URL.
func (p *SearchParameter) isReference(v gjson.Result, value string, bases []string) bool {
	text := v.Str // a canonical
	if v.IsObject() {
		text = v.Get("reference").Str
	}
	if text == "" {
		return false
	}
	wanted := local(Unescape(value), bases)
	is := local(text, bases)
	if is == wanted {
		return true
	}
	kind, id, relative := strings.Cut(is, "/")
	return relative && id == wanted && ValidID(id) && Known(kind) && (p.Targets == nil || slices.Contains(p.Targets, kind))
}

// local is a reference without the server's own address and without a version.
func local(reference string, bases []string) string {
	for _, base := range bases {
		if rest, ok := strings.CutPrefix(reference, base+"/"); ok {
			reference = rest
			break
		}
	}
	reference, _, _ = strings.Cut(reference, "/_history/")
	return reference
}
