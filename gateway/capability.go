package gateway

import (
	"encoding/json"
	"time"
)

// A CapabilityStatement (FHIR R4, section 5.1) of what the policies can grant at an EHR
// (offer.go), whoever asks. It tells nothing of the EHR.
type capabilityStatement struct {
	ResourceType   string         `json:"resourceType"`
	Status         string         `json:"status"`
	Date           string         `json:"date"`
	Kind           string         `json:"kind"`
	Software       named          `json:"software"`
	Implementation implementation `json:"implementation"`
	FHIRVersion    string         `json:"fhirVersion"`
	Format         []string       `json:"format"`
	PatchFormat    []string       `json:"patchFormat,omitempty"`
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
	Mode        string          `json:"mode"`
	Security    security        `json:"security"`
	Resource    []resourceOffer `json:"resource"`
	Interaction []code          `json:"interaction,omitempty"`
	Compartment []string        `json:"compartment,omitempty"`
}

type security struct {
	CORS        bool      `json:"cors"`
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
	Type              string             `json:"type"`
	Interaction       []code             `json:"interaction,omitempty"`
	Versioning        string             `json:"versioning,omitempty"`
	ReadHistory       bool               `json:"readHistory,omitempty"`
	UpdateCreate      bool               `json:"updateCreate"`
	ConditionalCreate bool               `json:"conditionalCreate,omitempty"`
	ConditionalUpdate bool               `json:"conditionalUpdate,omitempty"`
	ConditionalDelete string             `json:"conditionalDelete,omitempty"`
	SearchInclude     []string           `json:"searchInclude,omitempty"`
	SearchRevInclude  []string           `json:"searchRevInclude,omitempty"`
	SearchParam       []searchParamOffer `json:"searchParam,omitempty"`
	Operation         []operationOffer   `json:"operation,omitempty"`
}

type searchParamOffer struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type operationOffer struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

// capabilities is the route's CapabilityStatement.
func (o *offers) capabilities(r *route, cors bool, now time.Time) []byte {
	statement := capabilityStatement{
		ResourceType: "CapabilityStatement", Status: "active", Date: now.UTC().Format(time.RFC3339), Kind: "instance",
		Software:       named{Name: "Halfdoor"},
		Implementation: implementation{Description: "Minimum datasets for helpdesks: resources are reduced and identifiers are tokens.", URL: r.base},
		FHIRVersion:    "4.0.1",
		Format:         []string{"application/fhir+json", "json"},
	}
	rs := rest{Mode: "server", Interaction: codes(o.system), Security: security{
		CORS:        cors,
		Service:     []concept{{Coding: []coding{{System: "http://terminology.hl7.org/CodeSystem/restful-security-service", Code: "SMART-on-FHIR"}}}},
		Description: "OAuth 2 bearer tokens; see " + r.base + "/.well-known/smart-configuration",
	}}
	for _, kind := range sortedKeys(o.types) {
		t := o.types[kind]
		out := resourceOffer{
			Type: kind, Interaction: codes(t.interactions), ReadHistory: t.interactions["vread"],
			ConditionalCreate: t.interactions["create"], ConditionalUpdate: t.interactions["update"] && t.interactions["create"],
			SearchInclude: sortedKeys(t.includes), SearchRevInclude: sortedKeys(t.revIncludes),
		}
		if t.interactions["vread"] {
			out.Versioning = "versioned"
		}
		if t.interactions["delete"] {
			out.ConditionalDelete = "single"
		}
		if t.interactions["patch"] {
			statement.PatchFormat = []string{"application/json-patch+json"}
		}
		for _, name := range sortedKeys(t.params) {
			out.SearchParam = append(out.SearchParam, searchParamOffer{name, string(t.params[name])})
		}
		for _, name := range sortedKeys(t.operations) {
			out.Operation = append(out.Operation, operationOffer{name, "http://hl7.org/fhir/OperationDefinition/" + kind + "-" + name})
		}
		rs.Resource = append(rs.Resource, out)
	}
	if o.compartments {
		rs.Compartment = []string{"http://hl7.org/fhir/CompartmentDefinition/patient"}
	}
	statement.Rest = []rest{rs}
	document, err := json.Marshal(statement)
	if err != nil {
		panic(err) // strings only
	}
	return document
}

func codes(of map[string]bool) []code {
	var all []code
	for _, c := range sortedKeys(of) {
		all = append(all, code{c})
	}
	return all
}
