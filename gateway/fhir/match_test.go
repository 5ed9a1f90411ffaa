package fhir_test

import (
	"errors"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func TestParseMatch(t *testing.T) {
	const resource = `{"name":"resource","resource":{"resourceType":"Patient","birthDate":"1970-01-01"}}`
	const patient = `{"resourceType":"Patient","birthDate":"1970-01-01"}`
	match := func(parameters string) string {
		return `{"resourceType":"Parameters","parameter":[` + parameters + `]}`
	}
	for _, test := range []struct {
		name, in string
		want     fhir.Match
	}{
		{"patient", match(resource), fhir.Match{Patient: []byte(patient)}},
		{"everything", match(`{"valueInteger":3,"name":"count"},{"name":"onlyCertainMatches","valueBoolean":true},` + resource),
			fhir.Match{Patient: []byte(patient), OnlyCertain: true, Count: 3}},
		{"not only certain", `{"id":"x","meta":{},"parameter":[` + resource + `,{"name":"onlyCertainMatches","valueBoolean":false}],"resourceType":"Parameters"}`,
			fhir.Match{Patient: []byte(patient)}},
	} {
		r, err := fhir.Parse(with("POST /Patient/$match", test.in, isJSON), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := fhir.ParseMatch(r.Input)
		if err != nil || string(got.Patient) != string(test.want.Patient) || got.OnlyCertain != test.want.OnlyCertain || got.Count != test.want.Count {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
	for _, test := range []struct {
		name, in string
		kind     fhir.Kind
		param    string
	}{
		{"nothing", "", fhir.MalformedBody, ""},
		{"a bare Patient", patient, fhir.MalformedBody, ""},
		{"no list", `{"resourceType":"Parameters","parameter":{}}`, fhir.MalformedBody, ""},
		{"no parameters", `{"resourceType":"Parameters"}`, fhir.MissingParameter, "resource"},
		{"no resource", match(`{"name":"count","valueInteger":3}`), fhir.MissingParameter, "resource"},
		{"two resources", match(resource + "," + resource), fhir.MalformedBody, ""},
		{"another type", match(`{"name":"resource","resource":{"resourceType":"Person"}}`), fhir.MalformedBody, "resource"},
		{"a value for a resource", match(`{"name":"resource","valueString":"Patient"}`), fhir.MalformedBody, "resource"},
		{"unknown parameter", match(resource + `,{"name":"secret Zyx","valueString":"a"}`), fhir.MalformedBody, ""},
		{"name in capitals", match(resource + `,{"name":"Count","valueInteger":3}`), fhir.MalformedBody, ""},
		{"no name", match(resource + `,{"valueInteger":3,"x":1}`), fhir.MalformedBody, ""},
		{"two values", match(`{"name":"count","valueInteger":3,"valueString":"4"},` + resource), fhir.MalformedBody, ""},
		{"parts", match(`{"name":"count","part":[]},` + resource), fhir.MalformedBody, "count"},
		{"count as text", match(`{"name":"count","valueInteger":"3"},` + resource), fhir.MalformedBody, "count"},
		{"count of another type", match(`{"name":"count","valueDecimal":3},` + resource), fhir.MalformedBody, "count"},
		{"count of none", match(`{"name":"count","valueInteger":0},` + resource), fhir.MalformedBody, "count"},
		{"negative count", match(`{"name":"count","valueInteger":-1},` + resource), fhir.MalformedBody, "count"},
		{"fraction", match(`{"name":"count","valueInteger":3.0},` + resource), fhir.MalformedBody, "count"},
		{"huge count", match(`{"name":"count","valueInteger":99999999999},` + resource), fhir.MalformedBody, "count"},
		{"certain as text", match(`{"name":"onlyCertainMatches","valueBoolean":"true"},` + resource), fhir.MalformedBody, "onlyCertainMatches"},
		{"certain twice", match(`{"name":"onlyCertainMatches","valueBoolean":true},{"name":"onlyCertainMatches","valueBoolean":false},` + resource), fhir.MalformedBody, ""},
		{"a member more", `{"resourceType":"Parameters","implicitRules":"http://x","parameter":[` + resource + `]}`, fhir.MalformedBody, ""},
		{"null", match("null"), fhir.MalformedBody, ""},
	} {
		m, err := fhir.ParseMatch([]byte(test.in))
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != test.kind || e.Param != test.param || m.Patient != nil {
			t.Errorf("%s: got %+v, %v", test.name, m, err)
		}
	}
}
