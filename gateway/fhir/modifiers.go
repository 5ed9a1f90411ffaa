package fhir

import (
	"slices"
	"strings"
)

// elsewhere are modifiers of FHIR (R4 and R5) that the gateway understands and
// refuses. Most read what is not in the resource that is searched: a value set,
// which may itself be hidden, as may the hierarchy that :above and :below of a
// token or reference climb.
var elsewhere = []string{"in", "not-in", "code-text", "text-advanced", "iterate", "recurse", "asc", "desc"}

// modified returns why a modifier does not go with p, or "" where it does:
// search.html, section 2.21.1.5.1, and its table of modifiers by type.
func (p *SearchParameter) modified(modifier string) Kind {
	fits := false
	switch modifier {
	case "":
		return ""
	case "missing": // all parameters except combinations
		fits = p.Type != Composite
	case "exact", "contains":
		fits = p.Type == String
	case "not":
		fits = p.Type == Token
	case "text":
		fits = p.Type == Token && p.Name != "_id"
	case "of-type":
		fits = p.identifier
	case "identifier":
		fits = p.Type == Reference
	case "above", "below":
		if p.Type == Token || p.Type == Reference {
			return NotSupported
		}
		fits = p.Type == URI
	default:
		if slices.Contains(elsewhere, modifier) {
			return NotSupported
		}
		fits = Known(modifier) && p.to(modifier)
	}
	if !fits {
		return BadParameter
	}
	return ""
}

// admits reports whether a value goes with p under a modifier.
func (p *SearchParameter) admits(modifier, value string) bool {
	switch modifier {
	case "missing":
		return value == "true" || value == "false"
	case "text":
		return escapesValid(value) && fits(String, value)
	case "of-type": // the type's system and code, and the identifier's value
		parts := Split(value, '|')
		return escapesValid(value) && len(parts) == 3 && !slices.Contains(parts, "") &&
			!strings.Contains(parts[0], " ") && spaced(parts[1]) && spaced(parts[2])
	case "identifier":
		return escapesValid(value) && fits(Token, value)
	}
	if Known(modifier) { // subject:Patient=123; a type in the value could contradict it
		return ValidID(value)
	}
	return p.fits(value)
}
