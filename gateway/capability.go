package gateway

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// A CapabilityStatement (FHIR R4, section 5.1) of what the policies can grant at an EHR,
// whoever asks. It tells nothing of the EHR.
type capabilityStatement struct {
	ResourceType   string         `json:"resourceType"`
	Status         string         `json:"status"`
	Date           string         `json:"date"`
	Kind           string         `json:"kind"`
	Software       named          `json:"software"`
	Implementation implementation `json:"implementation"`
	FHIRVersion    string         `json:"fhirVersion"`
	Format         []string       `json:"format"`
	Rest           []rest         `json:"rest"`
}

type named struct {
	Name string `json:"name"`
}

type implementation struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type rest struct {
	Mode     string             `json:"mode"`
	Security security           `json:"security"`
	Resource []resourceOffer    `json:"resource"`
	Search   []searchParamOffer `json:"searchParam,omitempty"`
}

type security struct {
	Service     []concept `json:"service"`
	Description string    `json:"description"`
}

type concept struct {
	Coding []coding `json:"coding"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type code struct {
	Code string `json:"code"`
}

type resourceOffer struct {
	Type        string             `json:"type"`
	Interaction []code             `json:"interaction"`
	SearchParam []searchParamOffer `json:"searchParam,omitempty"`
}

type searchParamOffer struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// capabilities is the route's CapabilityStatement, and the SMART scopes that it can use.
func capabilities(r *route, engine *policies.Engine, now time.Time) (document []byte, scopes []string) {
	offers := map[string]map[string]fhir.ParamType{} // type -> parameter -> its type
	for _, name := range engine.Datasets() {
		plan, _ := engine.Plan(name)
		for kind := range plan.Dataset().Resources {
			if offers[kind] == nil {
				offers[kind] = map[string]fhir.ParamType{}
			}
			offered(offers[kind], plan, kind)
		}
	}
	statement := capabilityStatement{
		ResourceType: "CapabilityStatement", Status: "active", Date: now.UTC().Format(time.RFC3339), Kind: "instance",
		Software:       named{Name: "Halfdoor"},
		Implementation: implementation{Description: "Minimum datasets for helpdesks: resources are reduced and identifiers are tokens.", URL: r.base},
		FHIRVersion:    "4.0.1",
		Format:         []string{"application/fhir+json", "json"},
	}
	rs := rest{Mode: "server", Security: security{
		Service:     []concept{{Coding: []coding{{System: "http://terminology.hl7.org/CodeSystem/restful-security-service", Code: "SMART-on-FHIR"}}}},
		Description: "OAuth 2 bearer tokens; see " + r.base + "/.well-known/smart-configuration",
	}}
	for _, kind := range sortedKeys(offers) {
		o := resourceOffer{Type: kind, Interaction: []code{{"read"}, {"vread"}, {"search-type"}}}
		for _, name := range sortedKeys(offers[kind]) {
			o.SearchParam = append(o.SearchParam, searchParamOffer{name, string(offers[kind][name])})
		}
		rs.Resource = append(rs.Resource, o)
		for _, level := range []string{"patient/", "system/", "user/"} {
			scopes = append(scopes, level+kind+".rs")
		}
	}
	statement.Rest = []rest{rs}
	document, err := json.Marshal(statement)
	if err != nil {
		panic(err) // strings only
	}
	slices.Sort(scopes)
	return document, scopes
}

// offered adds the parameters by which a dataset lets a type be searched.
func offered(into map[string]fhir.ParamType, plan *transforms.Plan, kind string) {
	a := &admission{dec: &policies.Decision{Plan: plan}, req: &fhir.Request{Type: kind}}
	for def := range fhir.Parameters(kind) {
		if a.readable(kind, fhir.Param{Name: def.Name, Definition: def}) {
			into[def.Name] = def.Type
		}
	}
	for _, combination := range plan.Dataset().Search[kind] {
		for _, name := range splitCombination(combination) {
			if def, ok := fhir.Parameter(kind, name); ok {
				into[name] = def.Type
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
