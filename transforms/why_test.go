package transforms_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

func TestReason(t *testing.T) {
	ds, err := transforms.ParseDataset("desk", []byte(`{
		"resources": {
			"Patient": {"id": "token", "name.family": "keep", "name.given": "keep", "telecom[use=work].value": "keep", "telecom.value": "mask", "birthDate": "year", "contact.*": "keep"},
			"Slot": {"id": "token", "start": "keep"}},
		"why": {
			"*": {"id": "Names it.", "birthDate": "For all."},
			"Patient": {"name": "Who calls.", "name.given": "Which of them.", "telecom[use=work].value": "To call back.", "contact": "Whom to call."}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ kind, path, want string }{
		{"Patient", "id", "Names it."},
		{"Slot", "id", "Names it."},
		{"Patient", "name.family", "Who calls."},
		{"Patient", "name.given", "Which of them."},
		{"Patient", "name", "Who calls."},
		{"Patient", "telecom[use=work].value", "To call back."},
		{"Patient", "telecom.value", ""},
		{"Patient", "contact.*", "Whom to call."},
		{"Patient", "birthDate", "For all."},
		{"Slot", "start", ""},
		{"Nothing", "start", ""},
	} {
		if got := ds.Reason(tt.kind, tt.path); got != tt.want {
			t.Errorf("%s.%s is needed because %q, want %q", tt.kind, tt.path, got, tt.want)
		}
	}
}

func TestBadReasons(t *testing.T) {
	for why, want := range map[string]string{
		`{"Patient": {"birthDate": "Born."}}`:                       "why: Patient.birthDate: no row lets it leave",
		`{"Patient": {"gender": "He or she."}}`:                     "why: Patient.gender: no row lets it leave",
		`{"Patient": {"nam": "Who."}}`:                              "why: Patient.nam: no row lets it leave",
		`{"Patient": {"name.family.x": "Who."}}`:                    "why: Patient.name.family.x: no row lets it leave",
		`{"*": {"start": "When."}}`:                                 "why: *.start: no row lets it leave",
		`{"Slot": {"start": "When."}}`:                              `why: "Slot" has no row`,
		`{"Patient": {"name": ""}}`:                                 "why: Patient.name: is one sentence of at most 300 bytes",
		`{"Patient": {"name": " x"}}`:                               "why: Patient.name: is one sentence of at most 300 bytes",
		`{"Patient": {"name": "` + strings.Repeat("x", 301) + `"}}`: "why: Patient.name: is one sentence of at most 300 bytes",
		`{"Patient": {"name": "a\nb"}}`:                             "why: Patient.name: is one line",
		`{"Patient": "because"}`:                                    "cannot unmarshal",
	} {
		_, err := transforms.ParseDataset("desk", []byte(`{"resources": {"Patient": {"name.family": "keep", "gender": "remove"}}, "why": `+why+`}`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", why, err, want)
		}
	}
}
