package smart

import (
	"slices"
	"strings"

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
// a FHIR query cannot say.
func narrow(scopes []Scope) ([]fhir.Param, bool) {
	first := scopes[0].Params
	scopes = slices.DeleteFunc(scopes[1:], func(s Scope) bool { return same(s.Params, first) })
	if len(scopes) == 0 {
		return first, true
	}
	joined := first[0]
	joined.Values = slices.Clone(joined.Values)
	for _, s := range scopes {
		if len(first) != 1 || len(s.Params) != 1 || s.Params[0].Name != joined.Name {
			return nil, false
		}
		for _, v := range s.Params[0].Values {
			if !slices.Contains(joined.Values, v) {
				joined.Values = append(joined.Values, v)
			}
		}
	}
	return []fhir.Param{joined}, true
}

func same(a, b []fhir.Param) bool {
	return slices.EqualFunc(a, b, func(a, b fhir.Param) bool { return a.Encode() == b.Encode() })
}
