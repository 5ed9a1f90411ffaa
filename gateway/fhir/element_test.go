package fhir_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func TestElementAt(t *testing.T) {
	for _, tt := range []struct {
		kind, path, want string
		many             bool
	}{
		{"Patient", "id", "id", false},
		{"Patient", "meta.versionId", "id", false},
		{"Patient", "meta.security.code", "code", false},
		{"Patient", "text.div", "xhtml", false},
		{"Patient", "birthDate", "date", false},
		{"Patient", "deceasedDateTime", "dateTime", false},
		{"Patient", "contact", "BackboneElement", true},
		{"Patient", "contact.telecom.value", "string", false},
		{"Patient", "name.given", "string", true},
		{"Patient", "name.extension.valueCode", "code", false},
		{"Patient", "contained", "Resource", true},
		{"Patient", "managingOrganization.identifier.value", "string", false},
		{"Observation", "component.referenceRange.low.value", "decimal", false}, // defined in place elsewhere
		{"Observation", "valueQuantity.unit", "string", false},
		{"Condition", "onsetAge.value", "decimal", false},
		{"Questionnaire", "item.item.item.text", "string", false},
		{"MedicationRequest", "dosageInstruction.timing.repeat.frequency", "positiveInt", false},
		{"Parameters", "parameter.part.valueString", "string", false},
		{"Bundle", "entry.resource", "Resource", false},
		{"Patient", "deceased", "", false},
		{"Patient", "deceased[x]", "", false},
		{"Patient", "birthdate", "", false},
		{"Patient", "contained.id", "", false},
		{"Patient", "birthDate.value", "", false},
		{"Patient", "", "", false},
		{"Binary", "text", "", false},
		{"Resource", "id", "", false},
		{"HumanName", "family", "", false},
	} {
		e, ok := fhir.ElementAt(tt.kind, tt.path)
		if ok != (tt.want != "") || e.Type != tt.want || e.Many != tt.many {
			t.Errorf("%s.%s is %+v %v, want %s", tt.kind, tt.path, e, ok, tt.want)
		}
	}
}

// Every type has elements, every type of an element is one that has elements or is a single value, and what search parameters
// and compartments read is there.
func TestElementTable(t *testing.T) {
	for kind := range fhir.Types() {
		for _, e := range fhir.ElementsOf(kind, "") {
			if !e.Simple() && e.Type != "Resource" && len(fhir.ElementsOf(kind, e.Name)) < 3 {
				t.Errorf("%s.%s, a %s, has no elements of its own", kind, e.Name, e.Type)
			}
			if e.Simple() && len(fhir.ElementsOf(kind, e.Name)) > 0 {
				t.Errorf("%s.%s, a %s, has elements", kind, e.Name, e.Type)
			}
		}
		for p := range fhir.Parameters(kind) {
			for _, path := range p.Elements {
				if _, ok := fhir.ElementAt(kind, path); !ok {
					t.Errorf("%s.%s, which %s reads, is not there", kind, path, p.Name)
				}
			}
		}
		for _, path := range fhir.PatientCompartment()[kind] {
			if e, ok := fhir.ElementAt(kind, path); !ok || e.Type != "Reference" {
				t.Errorf("%s.%s, by which a %s is in a compartment, is %+v", kind, path, kind, e)
			}
		}
	}
	names := func(list []fhir.Element) (all []string) {
		for _, e := range list {
			all = append(all, e.Name)
		}
		return all
	}
	if got := strings.Join(names(fhir.ElementsOf("Slot", "")), " "); got != "id meta implicitRules language text contained extension modifierExtension "+
		"identifier serviceCategory serviceType specialty appointmentType schedule status start end overbooked comment" {
		t.Errorf("a Slot has %s", got)
	}
	if got := names(fhir.ElementsOf("Nothing", "")); got != nil {
		t.Errorf("a type that is none has %s", got)
	}
}
