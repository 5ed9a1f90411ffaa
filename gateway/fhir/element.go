package fhir

import (
	"slices"
	"strings"
	"sync"
)

// Element is what R4 says of one element.
type Element struct {
	Name string // in JSON: of a choice, with its type ("valueQuantity")
	Type string // FHIR's data type; "BackboneElement" where its own elements are defined in place
	Many bool   // may be there more than once: in JSON, a list

	parts string // under which its own elements stand in the table
}

// Simple says whether the element is a single JSON value, rather than an object.
func (e Element) Simple() bool { return e.Type[0] >= 'a' && e.Type[0] <= 'z' }

// ElementAt finds an element by its path below a resource type, in JSON names joined by dots ("contact.telecom.value"). What
// is contained, or an entry of a Bundle, is a resource of its own, below which no path leads.
func ElementAt(resourceType, path string) (Element, bool) {
	at := Element{Type: "Resource", parts: resourceType}
	if !Known(resourceType) {
		return Element{}, false
	}
	for name := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(at.elements(), func(e Element) bool { return e.Name == name })
		if i < 0 {
			return Element{}, false
		}
		at = at.elements()[i]
	}
	return at, true
}

// ElementsOf lists the elements below a path of a resource type, or those of the type itself where the path is empty, in the
// order of their definitions, behind those that every object or resource has.
func ElementsOf(resourceType, path string) []Element {
	if path == "" {
		if !Known(resourceType) {
			return nil
		}
		return slices.Clone(Element{Type: "Resource", parts: resourceType}.elements())
	}
	e, _ := ElementAt(resourceType, path)
	return slices.Clone(e.elements())
}

func (e Element) elements() []Element {
	if e.parts == "" {
		return nil
	}
	return elements()[e.parts]
}

// elements are those of each resource type, of each data type that has any, and of what is defined in place, by its path. They
// are made once, and never changed.
var elements = sync.OnceValue(loadElements)

// What every object has (element.html), what is defined in place, and what every resource; but for Binary, Bundle and
// Parameters, a resource is a DomainResource as well.
var (
	ofElement  = []Element{{Name: "id", Type: "string"}, {Name: "extension", Type: "Extension", Many: true, parts: "Extension"}}
	ofBackbone = append(slices.Clip(ofElement), Element{Name: "modifierExtension", Type: "Extension", Many: true, parts: "Extension"})
	ofResource = []Element{
		{Name: "id", Type: "id"}, {Name: "meta", Type: "Meta", parts: "Meta"}, {Name: "implicitRules", Type: "uri"}, {Name: "language", Type: "code"},
	}
	ofDomain = append(slices.Clip(ofResource), Element{Name: "text", Type: "Narrative", parts: "Narrative"},
		Element{Name: "contained", Type: "Resource", Many: true}, Element{Name: "extension", Type: "Extension", Many: true, parts: "Extension"},
		Element{Name: "modifierExtension", Type: "Extension", Many: true, parts: "Extension"})
)

// loadElements reads the table. A line is the path of an object, and each of its members: its name, a colon, its type ("#" and
// a path where it is defined in place), and "*" where there can be several.
func loadElements() map[string][]Element {
	all := map[string][]Element{}
	for line := range strings.Lines(elementTable) {
		fields := strings.Fields(line)
		at := fields[0]
		var list []Element
		switch {
		case at == "Binary" || at == "Bundle" || at == "Parameters":
			list = slices.Clone(ofResource)
		case Known(at):
			list = slices.Clone(ofDomain)
		case strings.Contains(at, ".") || at == "Timing" || at == "Dosage":
			list = slices.Clone(ofBackbone)
		default:
			list = slices.Clone(ofElement)
		}
		for _, member := range fields[1:] {
			name, kind, _ := strings.Cut(member, ":")
			kind, many := strings.CutSuffix(kind, "*")
			e := Element{Name: name, Type: kind, Many: many, parts: kind}
			if place, inside := strings.CutPrefix(kind, "#"); inside {
				e.Type, e.parts = "BackboneElement", place
			}
			list = append(list, e)
		}
		all[at] = list
	}
	return all
}
