package fhir_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func TestChains(t *testing.T) {
	searches{
		{"Patient?_has:Observation:patient:code=x", "_has:Observation:patient:code=x"},
		{"Patient?_has:Observation:patient:code:not=x,y", "_has:Observation:patient:code:not=x,y"},
		{"Patient?_has:Observation:patient:_has:AuditEvent:entity:agent:Practitioner=x", "_has:Observation:patient:_has:AuditEvent:entity:agent:Practitioner=x"},
		{"Encounter?patient._has:Group:member:_id=102", "patient:Patient._has:Group:member:_id=102"},
		{"Patient?_has:Observation:patient:performer:Practitioner.name=x", "_has:Observation:patient:performer:Practitioner.name=x"},
		{"Patient?_has=x", "!parameter-invalid"},
		{"Patient?_has:Observation=x", "!parameter-invalid"},
		{"Patient?_has:Observation:patient=x", "!parameter-invalid"},
		{"Patient?_has:Observation:patient:=x", "!parameter-invalid"},
		{"Patient?_has:Observation:code:code=x", "!parameter-invalid"},
		{"Patient?_has:Observation:encounter:code=x", "!parameter-invalid"}, // points to no patient
		{"Patient?_has:Nope:patient:code=x", "!parameter-invalid"},
		{"Patient?_has:Observation:patient:nope=x", "!parameter-invalid"},
		{"Patient?_has.Observation=x", "!parameter-invalid"},
		{"Patient?name._has:Observation:patient:code=x", "!parameter-invalid"},
		{"Observation?subject.birthdate=1970", "subject:Patient.birthdate=1970"}, // no other subject has one
		{"Observation?subject.identifier=x", "!parameter-invalid"},               // of which type?
		{"Observation?subject:Patient.nope=x", "!parameter-invalid"},
		{"Observation?subject:Organization.name=x", "!parameter-invalid"},
		{"Observation?subject:missing.name=x", "!parameter-invalid"},
		{"Observation?subject:Patient.=x", "!parameter-invalid"},
		{"Observation?subject.=x", "!parameter-invalid"},
		{"Observation?subject:=x", "!parameter-invalid"},
		{"Observation?subject:Patient:Patient.name=x", "!parameter-invalid"},
		{"Observation?subject:Patient.birthdate=x", "!parameter-invalid"},
		{"Observation?subject:Patient.link:Patient.link:Patient.link:Patient.name=x", "subject:Patient.link:Patient.link:Patient.link:Patient.name=x"},
		{"Observation?subject:Patient.link:Patient.link:Patient.link:Patient.link:Patient.name=x", "!parameter-not-supported"},
		{"Observation?subject:Patient._filter=x", "!parameter-invalid"},
		{"Encounter?location:Location.near=1|2", "!parameter-not-supported"},
		{"Appointment?location.near=1|2", "!parameter-not-supported"},
	}.run(t)
}

// A chain says of each step what it reads, and of which type it ends.
func TestLinks(t *testing.T) {
	for _, test := range []struct{ in, want, on string }{
		{"/Appointment?patient=1", "", "Appointment"},
		{"/Appointment?patient.birthdate=1970", "Appointment.patient>Patient", "Patient"},
		{"/Appointment?actor:Practitioner.name:exact=x", "Appointment.actor>Practitioner", "Practitioner"},
		{"/Patient?_has:Observation:patient:code=x", "Patient<Observation.patient", "Observation"},
		{"/Encounter?patient._has:Group:member:managing-entity:Organization.name=x", "Encounter.patient>Patient Patient<Group.member Group.managing-entity>Organization", "Organization"},
		{"/?_type=Encounter,Observation&patient.name=x", "Encounter.patient>Patient", "Patient"},
	} {
		r := parse(t, test.in)
		p := r.Params[0]
		var got []string
		for _, l := range p.Links {
			if !defined(l.Type, l.Definition) {
				t.Errorf("%s: %+v", test.in, l)
			}
			one := l.Type + "." + l.Definition.Name + ">" + l.Target
			if l.Reverse {
				one = l.Target + "<" + l.Type + "." + l.Definition.Name
			}
			got = append(got, one)
		}
		if on := p.On(r.Type); strings.Join(got, " ") != test.want || on != test.on || !defined(on, p.Definition) {
			t.Errorf("%s: got %q, on %s", test.in, got, on)
		}
	}
}

// A search of several types reads each by its own definition.
func TestFor(t *testing.T) {
	r := parse(t, "/?_type=Condition,Observation&patient.name=x&code=y&_sort=patient")
	for i, want := range []struct{ condition, observation string }{
		{"name", "name"}, {"code.coding.system code.coding.code", "code.coding.system code.coding.code"}, {"subject", "subject"},
	} {
		for typ, want := range map[string]string{"Condition": want.condition, "Observation": want.observation} {
			p, ok := r.Params[i].For(typ)
			reads, known := p.Reads()
			if !ok || !known || strings.Join(reads, " ") != want || len(p.Links) > 0 && p.Links[0].Type != typ {
				t.Errorf("%s reads %q of %s", p.Name, reads, typ)
			}
		}
		if p, ok := r.Params[i].For("Slot"); ok {
			t.Errorf("Slot has %s", p.Name)
		}
	}
}

func TestIncludeParams(t *testing.T) {
	for in, want := range map[string]string{
		"/Slot?_include=Slot:schedule":               "schedule",
		"/Slot?_include=*":                           "schedule",
		"/Patient?_include=*":                        "general-practitioner link organization",
		"/Patient?_include=Patient:*:Organization":   "general-practitioner organization",
		"/Patient?_revinclude=Appointment:*:Patient": "actor patient supporting-info",
	} {
		var got []string
		for _, p := range parse(t, in).Includes[0].Params() {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s follows %q", in, got)
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for _, test := range []struct{ typ, in, want string }{
		{"Patient", "birthdate", "birthdate"},
		{"Appointment", "patient.birthdate", "patient:Patient.birthdate"},
		{"Appointment", "patient:Patient.birthdate", "patient:Patient.birthdate"},
		{"Patient", "_has:Observation:patient:code", "_has:Observation:patient:code"},
		{"Patient", "nope", ""}, {"Patient", "birthdate:missing", ""}, {"Patient", "", ""}, {"Nope", "_id", ""},
		{"Appointment", "actor.name", ""}, {"Patient", "_sort", ""},
	} {
		if got, ok := fhir.CanonicalName(test.typ, test.in); ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s.%s: got %q, %v", test.typ, test.in, got, ok)
		}
	}
}
