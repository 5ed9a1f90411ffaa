package fhir

import "slices"

// modifiers are FHIR's own (R4 and R5) that the gateway understands and
// refuses. Most make a parameter read more than its elements: :text reads
// display, :of-type reads Identifier.type, :in asks a value set.
var modifiers = []string{
	"not", "text", "in", "not-in", "above", "below", "of-type", "identifier",
	"type", "code-text", "text-advanced", "iterate", "recurse", "asc", "desc",
}

// modified returns why a modifier does not go with p, or "" where it does.
func (p *SearchParameter) modified(modifier string) Kind {
	switch {
	case modifier == "":
		return ""
	case modifier == "missing":
		// search.html, section 2.21.1.5.2: all parameters except combinations.
		if p.Type != Composite {
			return ""
		}
	case modifier == "exact" || modifier == "contains":
		if p.Type == String {
			return ""
		}
	case Known(modifier):
		if p.Type == Reference && (p.Targets == nil || slices.Contains(p.Targets, modifier)) {
			return ""
		}
	case slices.Contains(modifiers, modifier):
		return NotSupported
	}
	return BadParameter
}

// admits reports whether a value goes with p under a modifier.
func (p *SearchParameter) admits(modifier, value string) bool {
	switch {
	case modifier == "missing":
		return value == "true" || value == "false"
	case Known(modifier): // subject:Patient=123; a type in the value could contradict it
		return ValidID(value)
	}
	return p.fits(value)
}
