package fhir_test

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

const met = `{"resourceType":"%s","id":"a1","status":"final","gender":"male","active":true,"url":"http://x/1",
	"meta":{"security":[{"system":"http://s","code":"N"},{"code":"bare"}],"profile":["http://p/1"]},
	"identifier":[{"system":"http://i","value":"Q1"},{"value":"Q2"}],
	"telecom":[{"system":"phone","value":"555"}],"birthDate":"1980-01-01","name":[{"family":"Chalmers"}],
	"category":[{"coding":[{"system":"http://c","code":"lab"},{"system":"http://d","code":"xx"}],"text":"vital"}],
	"subject":{"reference":"Patient/7"},"encounter":{"reference":"https://ehr.example/fhir/Encounter/8/_history/2"},
	"performer":[{"reference":"https://other.example/fhir/Practitioner/9"},{"display":"nobody"}],
	"generalPractitioner":[{"reference":"Practitioner/1"}],"valueCodeableConcept":{"text":"only"}}`

func TestMeets(t *testing.T) {
	for _, c := range []struct {
		kind, query string
		want        bool
	}{
		{"Observation", "category=lab", true},
		{"Observation", "category=http://c|lab", true},
		{"Observation", "category=http://d|lab", false},
		{"Observation", "category=http://c|", true},
		{"Observation", "category=http://e|", false},
		{"Observation", "category=|lab", false},
		{"Observation", "category=LAB", false},
		{"Observation", "category=vital", false},
		{"Observation", "category=a,xx", true},
		{"Observation", "code=lab", false},
		{"Observation", "status=final", true},
		{"Observation", "status=|final", false},
		{"Observation", "status=http://hl7.org/fhir/observation-status|final", false}, // only implied
		{"Observation", "value-concept=only", false},
		{"Observation", "_id=a1", true},
		{"Observation", "_id=a2", false},
		{"Observation", "_security=N", true},
		{"Observation", "_security=http://s|N", true},
		{"Observation", "_security=|bare", true},
		{"Observation", "_security=|N", false},
		{"Observation", "_profile=http://p/1", true},
		{"Observation", "_profile=http://p", false},
		{"Observation", "subject=Patient/7", true},
		{"Observation", "subject=7", true},
		{"Observation", "subject=https://ehr.example/fhir/Patient/7", true},
		{"Observation", "subject=https://other.example/fhir/Patient/7", false},
		{"Observation", "subject=Group/7", false},
		{"Observation", "patient=7", true},
		{"Observation", "encounter=Encounter/8", true},
		{"Observation", "encounter=8", true},
		{"Observation", "performer=Practitioner/9", false},
		{"Observation", "performer=https://other.example/fhir/Practitioner/9", true},
		{"Observation", "performer=9", false},
		{"Patient", "identifier=http://i|Q1", true},
		{"Patient", "identifier=http://i|Q2", false},
		{"Patient", "identifier=|Q2", true},
		{"Patient", "identifier=Q1", true},
		{"Patient", "gender=male", true},
		{"Patient", "active=true", true},
		{"Patient", "active=false", false},
		{"Patient", "general-practitioner=Practitioner/1", true},
		{"Patient", "general-practitioner=Practitioner/2", false},
	} {
		req := one(t, c.kind, c.query)
		if p := req.Params[0]; !p.Checkable() || p.Meets(c.kind, gjson.Parse(met), []string{"https://ehr.example/fhir"}) != c.want {
			t.Errorf("%s?%s: checkable %v, want met %v", c.kind, c.query, p.Checkable(), c.want)
		}
	}
	for _, c := range []struct{ kind, query string }{
		{"Patient", "birthdate=1980-01-01"}, {"Patient", "family=Chalmers"}, {"Patient", "phone=555"}, {"Patient", "telecom=555"},
		{"Observation", "category:not=xx"}, {"Observation", "subject:missing=false"}, {"Observation", "subject:Patient.gender=male"},
		{"Observation", "_count=1"}, {"Observation", "code-value-concept=lab$only"},
	} {
		p := one(t, c.kind, c.query).Params[0]
		if p.Checkable() || p.Meets(c.kind, gjson.Parse(met), nil) {
			t.Errorf("%s?%s is checked", c.kind, c.query)
		}
	}
	if p := one(t, "Observation", "category=lab").Params[0]; p.Meets("Patient", gjson.Parse(met), nil) {
		t.Error("a parameter of another type is met")
	}
}

func one(t *testing.T, kind, query string) *fhir.Request {
	t.Helper()
	req, err := fhir.Parse(fhir.Message{Method: "GET", Path: "/" + kind, Query: query}, fhir.Limits{})
	if err != nil || len(req.Params) != 1 {
		t.Fatalf("%s?%s: %v", kind, query, err)
	}
	return req
}

// A resource of any shape has an answer, and a server's own address changes nothing of it.
func FuzzMeets(f *testing.F) {
	seeds := []string{met, `{"category":"lab"}`, `{"category":[[{"coding":{"code":"lab"}}]]}`, `{"category":{"coding":[{"code":1}]}}`, `[]`, ``, `{"subject":"Patient/7"}`}
	for _, s := range seeds {
		f.Add(s)
	}
	var params []fhir.Param
	for _, q := range []string{"category=http://c|lab", "subject=Patient/7", "_profile=http://p/1", "status=final"} {
		req, err := fhir.Parse(fhir.Message{Method: "GET", Path: "/Observation", Query: q}, fhir.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		params = append(params, req.Params...)
	}
	f.Fuzz(func(t *testing.T, resource string) {
		for _, p := range params {
			plain := p.Meets("Observation", gjson.Parse(resource), nil)
			if plain && !p.Meets("Observation", gjson.Parse(resource), []string{"https://nowhere.example"}) {
				t.Errorf("%s: an address that is not there", p.Name)
			}
		}
	})
}
