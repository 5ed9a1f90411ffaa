package fhir_test

import (
	"reflect"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func TestEscape(t *testing.T) {
	for _, text := range []string{"", "plain", `a,b|c$d\e`, `\`, `\,`, "ü,"} {
		if got := fhir.Unescape(fhir.Escape(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		for _, separator := range []byte(",|$") {
			if got := fhir.Split(fhir.Escape(text), separator); len(got) != 1 {
				t.Errorf("%q split into %q", text, got)
			}
		}
	}
	if got := fhir.Split(`a\|b|c|`, '|'); !reflect.DeepEqual(got, []string{`a\|b`, "c", ""}) {
		t.Errorf("got %q", got)
	}
}

func TestParsePointer(t *testing.T) {
	for _, test := range []struct {
		in   string
		want fhir.Pointer
		ok   bool
	}{
		{"1", fhir.Pointer{ID: "1"}, true},
		{"Patient/1", fhir.Pointer{Type: "Patient", ID: "1"}, true},
		{"https://e.example/r4/Patient/1", fhir.Pointer{Base: "https://e.example/r4", Type: "Patient", ID: "1", URL: "https://e.example/r4/Patient/1"}, true},
		{"https://e.example/x", fhir.Pointer{URL: "https://e.example/x"}, true},
		{"http://e.example/Questionnaire/q|2", fhir.Pointer{URL: "http://e.example/Questionnaire/q", Version: "2"}, true},
		{"urn:oid:1.2", fhir.Pointer{URL: "urn:oid:1.2"}, true},
		{`http://e.example/a\,b`, fhir.Pointer{URL: "http://e.example/a,b"}, true},
		{in: ""}, {in: "/1"}, {in: "Patient/"}, {in: "Nope/1"}, {in: "a/Patient/1"}, {in: "Patient/1|2"}, {in: "javascript:x"},
		{in: "http://e.example/Patient/1/"}, {in: "http://e.example/q|"}, {in: "http://e.example/a b"},
	} {
		got, ok := fhir.ParsePointer(test.in)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%q: got %+v, %v", test.in, got, ok)
		}
	}
}
