package transforms_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

func TestParseDataset(t *testing.T) {
	got, err := transforms.ParseDataset("scheduling", []byte(`{
		"title": "Appointments", "version": 3,
		"resources": {
			"Patient": {"id": "token", "meta.versionId": "keep", "identifier.value": "mask", "birthDate": "year"},
			"Appointment": {"participant.actor": "reference"}
		},
		"search": {"Patient": ["identifier", "family+birthdate", "_id"]},
		"write": {"Appointment": ["status"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &transforms.Dataset{
		Name: "scheduling", Title: "Appointments", Version: 3,
		Resources: map[string]map[string]transforms.Rule{
			"Patient": {
				"id": {Method: transforms.Token}, "meta.versionId": {Method: transforms.Keep},
				"identifier.value": {Method: transforms.Mask}, "birthDate": {Method: transforms.Year},
			},
			"Appointment": {"participant.actor": {Method: transforms.Reference}},
		},
		Search: map[string][]string{"Patient": {"identifier", "family+birthdate", "_id"}},
		Write:  map[string][]string{"Appointment": {"status"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseDatasetProblems(t *testing.T) {
	row := func(rows string) string { return `{"resources": {"Patient": {` + rows + `}}}` }
	for _, c := range []struct {
		name, in string
		want     []string // lines
	}{
		{"not JSON", `{`, []string{"transforms: ends before its end at byte 1"}},
		{"not an object", `[]`, []string{"transforms: malformed JSON at byte 0"}},
		{"a row twice", row(`"id": "token", "i\u0064": "keep"`), []string{"transforms: member named twice at byte 51"}},
		{"data behind", `{} {}`, []string{"transforms: data after the end at byte 3"}},
		{"key unknown", `{"resource": {}}`, []string{`unknown field "resource"`}},
		{"method unknown", row(`"id": "tokenize"`), []string{`Patient.id: unknown method "tokenize" (want keep, token, reference, mask, year)`}},
		{"method remove", row(`"id": "remove"`), []string{"Patient.id: what is not named is removed; leave the row out"}},
		{"method no string", row(`"id": {"method": "token"}`), []string{"Patient.id: a method must be a string"}},
		{"method null", row(`"id": null`), []string{"Patient.id: a method must be a string"}},
		{"version negative", `{"version": -1}`, []string{"version must not be negative"}},
		{"type", `{"resources": {"patient": {}, "Pat-ient": {}, "": {}}}`,
			[]string{`"" is not a resource type`, `"Pat-ient" is not a resource type`, `"patient" is not a resource type`}},
		{"built in", `{"resources": {"Bundle": {}, "OperationOutcome": {}}}`,
			[]string{"Bundle: its row is built in", "OperationOutcome: its row is built in"}},
		{"path", row(`"": "keep", "a..b": "keep", "_id": "keep", "a.": "keep", "name[0]": "keep", "resourceType": "keep"`), []string{
			`Patient: "" is not an element path`, `Patient: "_id" is not an element path`, `Patient: "a." is not an element path`,
			`Patient: "a..b" is not an element path`, `Patient: "name[0]" is not an element path`,
			"Patient.resourceType: always leaves; leave the row out",
		}},
		{"contained", row(`"contained": "mask", "contained.id": "keep"`), []string{
			"Patient.contained: contained resources leave by the rows of their types, where contained is kept",
			"Patient.contained.id: contained resources leave by the rows of their types, where contained is kept",
		}},
		{"Parameters", `{"resources": {"Parameters": {"id": "keep", "parameter.name": "keep", "parameter.part.valueString": "keep", "parameter.valueString": "keep"}}}`, []string{
			"Parameters.id: its row is built in; a dataset can add rows of parameter.value… only",
			"Parameters.parameter.name: its row is built in; a dataset can add rows of parameter.value… only",
			"Parameters.parameter.part.valueString: its row is built in; a dataset can add rows of parameter.value… only",
		}},
		{"conflict", row(`"name": "keep", "name.family": "keep"`), []string{"Patient.name.family: name already says how it leaves"}},
		{"conflict with another method", row(`"name": "mask", "name.extension": "keep"`), []string{"Patient.name.extension: name already says how it leaves"}},
		{"conflict far below", row(`"a": "keep", "a.b.c.d": "keep"`), []string{"Patient.a.b.c.d: a already says how it leaves"}},
		{"widening by another method", row(`"name": "keep", "name.text": "mask"`), []string{"Patient.name.text: name already says how it leaves"}},
		{"search", `{"resources": {"Patient": {}}, "search": {"Claim": ["use"], "Patient": ["a+", "a b"]}}`, []string{
			`search: "Claim" has no row`, `search: Patient: "a+" is not a search parameter`, `search: Patient: "a b" is not a search parameter`,
		}},
		{"write", `{"resources": {"Patient": {}}, "write": {"Claim": [], "Patient": ["a..b"]}}`,
			[]string{`write: "Claim" has no row`, `write: Patient: "a..b" is not an element path`}},
		{"all at once", `{"version": -1, "resources": {"Patient": {"id": "x", "a.b": "keep", "a": "keep"}, "x": {}}}`, []string{
			`Patient.id: unknown method "x" (want keep, token, reference, mask, year)`,
			"version must not be negative", "Patient.a.b: a already says how it leaves", `"x" is not a resource type`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := transforms.ParseDataset("x", []byte(c.in))
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestWidening(t *testing.T) {
	for _, name := range []string{"extension", "modifierExtension", "display", "text", "coding.display"} {
		doc := `{"resources": {"Observation": {"code": "keep", "code.` + name + `": "keep"}}}`
		if _, err := transforms.ParseDataset("x", []byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompileProblems(t *testing.T) {
	if _, err := transforms.Compile(nil, nil); err == nil {
		t.Error("no dataset: no error")
	}
	_, err := transforms.Compile(&transforms.Dataset{Resources: map[string]map[string]transforms.Rule{
		"Patient": {"id": {}, "name": {Method: 200}},
	}}, nil)
	if want := "Patient.id: unknown method\nPatient.name: unknown method"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMethod(t *testing.T) {
	plan := load(t, "x", `{"resources": {
		"Patient": {"id": "token", "identifier.system": "keep", "identifier.value": "mask", "birthDate": "year",
			"name": "keep", "name.extension": "keep", "managingOrganization": "reference", "meta.versionId": "keep"},
		"Observation": {"code": "keep", "code.coding.display": "keep", "category": "keep", "subject": "keep",
			"text": "keep", "encounter.reference": "keep"},
		"Slot": {}}}`).plan
	for _, c := range []struct {
		kind, path string
		want       transforms.Method
	}{
		{"Patient", "id", transforms.Token},
		{"Patient", "resourceType", transforms.Keep},
		{"Patient", "", transforms.Remove},
		{"Patient", "identifier", transforms.Remove},
		{"Patient", "identifier.system", transforms.Keep},
		{"Patient", "identifier.system.x", transforms.Keep},
		{"Patient", "identifier.value", transforms.Mask},
		{"Patient", "identifier.value.x", transforms.Remove},
		{"Patient", "identifier.type", transforms.Remove},
		{"Patient", "birthDate", transforms.Year},
		{"Patient", "name", transforms.Keep},
		{"Patient", "name.given", transforms.Keep},
		{"Patient", "name.text", transforms.Keep},
		{"Patient", "name.extension", transforms.Keep},
		{"Patient", "name.extension.url", transforms.Keep},
		{"Patient", "name.modifierExtension", transforms.Remove},
		{"Patient", "name.period.extension", transforms.Remove},
		{"Patient", "managingOrganization", transforms.Reference},
		{"Patient", "managingOrganization.reference", transforms.Reference},
		{"Patient", "managingOrganization.display", transforms.Remove},
		{"Patient", "meta", transforms.Remove},
		{"Patient", "meta.versionId", transforms.Keep},
		{"Patient", "meta.security", transforms.Remove},
		{"Patient", "telecom", transforms.Remove},
		{"Observation", "id", transforms.Remove},
		{"Observation", "code.coding.code", transforms.Keep},
		{"Observation", "code.coding.display", transforms.Keep},
		{"Observation", "category.coding.code", transforms.Keep},
		{"Observation", "category.coding.display", transforms.Remove},
		{"Observation", "subject", transforms.Keep},
		{"Observation", "subject.reference", transforms.Reference},
		{"Observation", "subject.display", transforms.Remove},
		{"Observation", "performer", transforms.Remove},
		{"Observation", "performer.reference", transforms.Remove},
		{"Observation", "text.div", transforms.Keep},
		{"Observation", "encounter.reference", transforms.Reference},
		{"Slot", "id", transforms.Remove},
		{"Claim", "id", transforms.Remove},
	} {
		if got := plan.Method(c.kind, c.path); got != c.want {
			t.Errorf("%s.%s: %v, want %v", c.kind, c.path, got, c.want)
		}
	}
	for kind, want := range map[string]bool{"Patient": true, "Slot": true, "Claim": false, "Bundle": false, "OperationOutcome": false} {
		if plan.Has(kind) != want {
			t.Errorf("has %s: %v", kind, !want)
		}
	}
}

func TestMethodString(t *testing.T) {
	if transforms.Remove.String() != "remove" || transforms.Year.String() != "year" || transforms.Method(200).String() != "Method(200)" {
		t.Error("names of methods")
	}
}

// TestLongNames has names that agree in length and in their first and last eight characters,
// which is as far as a table of names looks first.
func TestLongNames(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"medicationAAACodeable": "keep", "medicationBBBCodeable": "mask"}}}`).plan
	got := filter(t, plan, strings.NewReader(`{"resourceType":"Patient","medicationCCCCodeable":"c","medicationBBBCodeable":"b","medicationAAACodeable":"a"}`), options())
	want := `{"resourceType":"Patient","medicationBBBCodeable":"***","medicationAAACodeable":"a",` + tag + `}`
	if string(got.body) != want {
		t.Errorf("got %s (%v)\nwant %s", got.body, got.err, want)
	}
}

func TestErrorUnwraps(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"id": "token"}}}`).plan
	o := options()
	o.Tokens = nil
	got := filter(t, plan, strings.NewReader(`{"resourceType":"Patient","id":"p1"}`), o)
	var e *transforms.Error
	if !errors.Is(got.err, transforms.ErrToken) || !errors.As(got.err, &e) || e.Pointer != "/id" || e.Offset != 35 {
		t.Errorf("got %+v", got.err)
	}
}
