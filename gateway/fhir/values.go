package fhir

import (
	"regexp"
	"slices"
	"strings"
)

// The forms of values, from FHIR R4, search.html, section 2.21.1.5. The EHR is
// never sent a value that two servers could read differently.
const (
	prefix  = `(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?`
	decimal = `[-+]?\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,3})?`
)

var (
	dateForm = regexp.MustCompile(`^` + prefix + `\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])` +
		`(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{1,9})?)?(?:Z|[-+](?:0\d|1[0-3]):[0-5]\d|[-+]14:00)?)?)?)?$`)
	// instant has a time to the second and its zone (datatypes.html#instant).
	instantForm = regexp.MustCompile(`^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])` +
		`T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?(?:Z|[-+](?:0\d|1[0-3]):[0-5]\d|[-+]14:00)$`)
	numberForm = regexp.MustCompile(`^` + prefix + decimal + `$`)
)

// fits reports whether a value, still escaped, has the form that its type
// demands. The whole of a parameter's promise to admission rests on it: what
// fits reads no more than the definition's elements.
func (p *SearchParameter) fits(value string) bool {
	if !escapesValid(value) || strings.TrimSpace(value) == "" {
		return false
	}
	if p.Type == Composite {
		parts := Split(value, '$')
		if len(parts) != len(p.Components) {
			return false
		}
		for i, part := range parts {
			if !fits(p.Components[i], part) {
				return false
			}
		}
		return true
	}
	if p.Name == "_id" {
		return ValidID(value)
	}
	if p.contact && len(Split(value, '|')) > 1 {
		// Servers disagree on whether a contact point's system is its use,
		// which is not among Elements.
		return false
	}
	return fits(p.Type, value) && (p.Type != Reference || p.points(value))
}

// points reports whether a reference's type is among the parameter's targets.
func (p *SearchParameter) points(value string) bool {
	to, _ := ParsePointer(value)
	return to.Type == "" || p.Targets == nil || slices.Contains(p.Targets, to.Type)
}

func fits(t ParamType, value string) bool {
	switch t {
	case String:
		return strings.TrimSpace(value) != ""
	case Date:
		return dateForm.MatchString(value)
	case Number:
		return numberForm.MatchString(value)
	case Quantity: // [prefix][number], or that with |[system]|[code]
		parts := Split(value, '|')
		return numberForm.MatchString(parts[0]) && (len(parts) == 1 ||
			len(parts) == 3 && !strings.ContainsAny(parts[1], " ") && spaced(parts[2]))
	case Token: // code, system|code, |code, system|
		parts := Split(value, '|')
		switch len(parts) {
		case 1:
			return parts[0] != "" && spaced(parts[0])
		case 2:
			return value != "|" && !strings.ContainsAny(parts[0], " ") && spaced(parts[1])
		}
		return false
	case Reference:
		_, ok := ParsePointer(value)
		return ok
	case URI:
		return value != "" && !strings.ContainsAny(value, " ")
	}
	return false
}

// spaced reports whether s has no space at its ends, as FHIR's code demands.
func spaced(s string) bool { return s == strings.TrimSpace(s) }
