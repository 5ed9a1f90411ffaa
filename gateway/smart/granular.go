package smart

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// anywhere are the parameters that every resource type has, and so the only ones
// that make sense on "*" (FHIR R4, search.html, section "Parameters for all resources").
var anywhere = []string{"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"}

// params reads a scope's search parameters, as strictly as a client's own. The name of
// a parameter that the EHR would not know must not get this far: a server that ignores
// it would turn the restriction into none.
func params(resourceType, query string) ([]fhir.Param, bool) {
	if strings.Contains(query, "+") {
		return nil, false // a plus or a space: issuers differ, and the grant with them
	}
	on := resourceType
	if on == "*" {
		on = "Patient"
	}
	req, err := fhir.Parse(fhir.Message{Method: "GET", Path: "/" + on, Query: query}, fhir.Limits{})
	if err != nil || len(req.Params) != strings.Count(query, "&")+1 {
		return nil, false // also what Parse understands but does not hand on: _format
	}
	for _, p := range req.Params {
		switch {
		case p.Definition == nil, p.Modifier != "", p.Links != nil: // _count, _sort; modifiers and chains are optional for a server
			return nil, false
		case len(p.Values) == 0, slices.Contains(p.Values, ""): // would restrict nothing
			return nil, false
		case resourceType == "*" && !slices.Contains(anywhere, p.Name):
			return nil, false
		}
	}
	return req.Params, true
}

// narrow is the one query that finds what any of the granular scopes cover: the scope's
// own parameters where it is the only one, or one parameter with all their values where
// each scope has only that parameter. Two scopes on different parameters are an OR that
// a FHIR query cannot say: then there is none, and the answer alone is held.
func narrow(scopes [][]fhir.Param) []fhir.Param {
	first := scopes[0]
	scopes = slices.DeleteFunc(slices.Clone(scopes[1:]), func(s []fhir.Param) bool { return same(s, first) })
	if len(scopes) == 0 {
		return first
	}
	joined := first[0]
	joined.Values = slices.Clone(joined.Values)
	for _, s := range scopes {
		if len(first) != 1 || len(s) != 1 || s[0].Name != joined.Name {
			return nil
		}
		for _, v := range s[0].Values {
			if !slices.Contains(joined.Values, v) {
				joined.Values = append(joined.Values, v)
			}
		}
	}
	return []fhir.Param{joined}
}

func same(a, b []fhir.Param) bool {
	return slices.EqualFunc(a, b, func(a, b fhir.Param) bool { return a.Encode() == b.Encode() })
}

// granular is the floor of scopes that all have parameters: those of a user or client, and those of the patient of the
// launch. What cannot be checked of a resource is no permission to see it.
func granular(resourceType string, letter Needs, wide, held []Scope, patient Floor) (Floor, error) {
	if letter != Read && letter != Search || resourceType == "Bundle" || resourceType == "Parameters" { // which hold others
		return Floor{}, ErrGranular
	}
	var floor Floor
	if len(wide) == 0 {
		floor = patient
	}
	for i, s := range append(slices.Clip(wide), held...) {
		params := s.Params
		if slices.ContainsFunc(params, func(p fhir.Param) bool { return !p.Checkable() }) {
			continue
		}
		if i >= len(wide) && floor.Patient == "" && !patient.Shared { // beside what is not held to the patient
			name, ok := fhir.CompartmentParameter(resourceType)
			if !ok {
				continue
			}
			def, _ := fhir.Parameter(resourceType, name)
			value := patient.Patient
			if def.Type == fhir.Reference {
				value = "Patient/" + value
			}
			params = append(slices.Clip(params), fhir.Param{Name: name, Values: []string{value}, Definition: def})
		}
		floor.Only = append(floor.Only, params)
	}
	if len(floor.Only) == 0 {
		return Floor{}, ErrGranular
	}
	if letter == Search {
		floor.Narrow = narrow(floor.Only)
	}
	return floor, nil
}

// Granular says that the scopes cover a part of the type's resources: [Floor.Covers] has to be asked of each.
func (f Floor) Granular() bool { return len(f.Only) > 0 }

// Covers says whether the scopes cover a resource of the call's type, as the EHR has it: it meets all
// parameters of one of them. An EHR is not trusted to have kept to Narrow. bases are the EHR's addresses.
func (f Floor) Covers(resourceType string, resource gjson.Result, bases []string) bool {
	return !f.Granular() || slices.ContainsFunc(f.Only, func(params []fhir.Param) bool {
		return !slices.ContainsFunc(params, func(p fhir.Param) bool { return !p.Meets(resourceType, resource, bases) })
	})
}
