package main

import (
	"slices"
	"strings"
)

// element is one ElementDefinition of a snapshot.
type element struct {
	Path string
	Type []struct {
		Code          string
		TargetProfile []string
	}
	ContentReference string
	Max              string
}

// model is the element tree of all resource types and data types, by path:
// "Observation.component", "HumanName.family", "Observation.value[x]".
type model struct {
	elements  map[string]*element
	resources []string // concrete ones
	order     []string // paths of elements, as HL7 has them
}

func (m *model) add(defs []definition) {
	for i := range defs {
		d := &defs[i]
		if d.ResourceType != "StructureDefinition" || d.Kind == "logical" || d.Derivation == "constraint" {
			continue
		}
		if d.Kind == "resource" && !d.Abstract && d.FHIRVersion == "4.0.1" { // later versions' types are mixed in
			m.resources = append(m.resources, d.typ())
		}
		for j := range d.Snapshot.Element {
			e := &d.Snapshot.Element[j]
			if m.elements[e.Path] == nil {
				m.order = append(m.order, e.Path)
			}
			m.elements[e.Path] = e
		}
	}
}

// node is an element on the way along an expression. Of a choice that was not
// cast, every type is one node.
type node struct {
	path    string // below the resource type, by JSON names
	def     string // path of its definition, for its children
	typ     string // FHIR type; empty for a resource itself
	targets []string
}

// children are the elements named so below n; several for a choice element.
func (m *model) children(n node, name string) []node {
	parent := n.def
	switch n.typ {
	case "", "BackboneElement", "Element":
	default:
		parent = n.typ
	}
	if e := m.elements[parent]; e != nil && e.ContentReference != "" {
		parent = strings.TrimPrefix(e.ContentReference, "#")
	}
	choice := false
	e := m.elements[parent+"."+name]
	if e == nil {
		e, choice = m.elements[parent+"."+name+"[x]"], true
	}
	if e == nil {
		return nil
	}
	path := name
	if n.path != "" {
		path = n.path + "." + name
	}
	if e.ContentReference != "" {
		return []node{{path: path, def: strings.TrimPrefix(e.ContentReference, "#"), typ: "BackboneElement"}}
	}
	var nodes []node
	for _, t := range e.Type {
		code := t.Code
		if strings.HasPrefix(code, "http://hl7.org/fhirpath/") {
			code = "string" // Resource.id and Element.id
		}
		c := node{path: path, def: e.Path, typ: code}
		if choice {
			c.path += strings.ToUpper(code[:1]) + code[1:]
		}
		for _, profile := range t.TargetProfile {
			c.targets = append(c.targets, profile[strings.LastIndexByte(profile, '/')+1:])
		}
		if slices.Contains(c.targets, "Resource") {
			c.targets = nil
		}
		nodes = append(nodes, c)
	}
	return nodes
}

// leaf is an element that a parameter reads.
type leaf struct {
	path    string
	typ     string
	targets []string // of a reference; nil for any
	patient bool     // a reference that can point to a Patient
}

// String is the leaf as the table writes it: with the type where a parameter
// reads only parts of it.
func (l leaf) String() string {
	switch l.typ {
	case "Identifier":
		return l.path + ":I"
	case "CodeableConcept":
		return l.path + ":C"
	case "Coding":
		return l.path + ":K"
	case "ContactPoint":
		return l.path + ":P"
	}
	return l.path
}

// reads are the data types that each parameter type searches (search.html,
// sections 2.21.1.5.2 to 2.21.1.5.9). Of a choice that was not cast the others
// are not read.
var reads = map[string]string{
	"number":    "integer decimal positiveInt unsignedInt Range",
	"date":      "date dateTime instant Period Timing",
	"string":    "string markdown HumanName Address",
	"token":     "Coding CodeableConcept Identifier ContactPoint code boolean uri id string",
	"reference": "Reference canonical uri",
	"quantity":  "Quantity Age Duration Distance Count Money Range SampledData",
	"uri":       "uri url canonical oid uuid",
}
