package fhir_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// Facts of HL7's R4 definitions, written down from the specification's pages
// and not from the table.
func TestParameter(t *testing.T) {
	for _, test := range []struct {
		typ, name string
		kind      fhir.ParamType
		elements  string
		targets   string
	}{
		{"Patient", "_id", fhir.Token, "id", ""},
		{"Slot", "_lastUpdated", fhir.Date, "meta.lastUpdated", ""},
		{"Slot", "_tag", fhir.Token, "meta.tag.system meta.tag.code", ""},
		{"Slot", "_security", fhir.Token, "meta.security.system meta.security.code", ""},
		{"Slot", "_profile", fhir.URI, "meta.profile", ""},
		{"Slot", "_source", fhir.URI, "meta.source", ""},
		{"Patient", "birthdate", fhir.Date, "birthDate", ""},
		{"Patient", "family", fhir.String, "name.family", ""},
		{"Patient", "name", fhir.String, "name", ""},
		{"Patient", "phonetic", fhir.String, "name", ""},
		{"Patient", "address", fhir.String, "address", ""},
		{"Patient", "address-postalcode", fhir.String, "address.postalCode", ""},
		{"Patient", "identifier", fhir.Token, "identifier.system identifier.value", ""},
		{"Patient", "phone", fhir.Token, "telecom.system telecom.value", ""},
		{"Patient", "telecom", fhir.Token, "telecom.system telecom.value", ""},
		{"Patient", "gender", fhir.Token, "gender", ""},
		{"Patient", "death-date", fhir.Date, "deceasedDateTime", ""},
		{"Patient", "deceased", fhir.Token, "deceasedBoolean deceasedDateTime", ""},
		{"Patient", "link", fhir.Reference, "link.other", "Patient RelatedPerson"},
		{"Appointment", "patient", fhir.Reference, "participant.actor", "Patient"},
		{"Appointment", "practitioner", fhir.Reference, "participant.actor", "Practitioner"},
		{"Appointment", "date", fhir.Date, "start", ""},
		{"Appointment", "supporting-info", fhir.Reference, "supportingInformation", ""},
		{"Encounter", "participant", fhir.Reference, "participant.individual", "Practitioner PractitionerRole RelatedPerson"},
		{"Encounter", "practitioner", fhir.Reference, "participant.individual", "Practitioner"},
		{"Encounter", "date", fhir.Date, "period", ""},
		{"Encounter", "class", fhir.Token, "class.system class.code", ""},
		{"Encounter", "length", fhir.Quantity, "length", ""},
		{"Schedule", "actor", fhir.Reference, "actor", "Device HealthcareService Location Patient Practitioner PractitionerRole RelatedPerson"},
		{"AllergyIntolerance", "patient", fhir.Reference, "patient", "Patient"},
		{"Condition", "patient", fhir.Reference, "subject", "Patient"},
		{"Immunization", "patient", fhir.Reference, "patient", "Patient"},
		{"Procedure", "patient", fhir.Reference, "subject", "Patient"},
		{"Procedure", "date", fhir.Date, "performedDateTime performedPeriod", ""},
		{"MedicationRequest", "medication", fhir.Reference, "medicationReference", "Medication"},
		{"MedicationRequest", "code", fhir.Token, "medicationCodeableConcept.coding.system medicationCodeableConcept.coding.code", ""},
		{"Condition", "onset-age", fhir.Quantity, "onsetAge onsetRange", ""},
		{"Condition", "code", fhir.Token, "code.coding.system code.coding.code", ""},
		{"AllergyIntolerance", "code", fhir.Token, "code.coding.system code.coding.code reaction.substance.coding.system reaction.substance.coding.code", ""},
		{"Observation", "date", fhir.Date, "effectiveDateTime effectivePeriod effectiveTiming effectiveInstant", ""},
		{"Observation", "combo-code", fhir.Token, "code.coding.system code.coding.code component.code.coding.system component.code.coding.code", ""},
		{"Observation", "value-string", fhir.String, "valueString valueCodeableConcept.text", ""},
		{"Observation", "code-value-quantity", fhir.Composite, "code.coding.system code.coding.code valueQuantity", ""},
		{"Observation", "component-code-value-concept", fhir.Composite, "component.code.coding.system component.code.coding.code component.valueCodeableConcept.coding.system component.valueCodeableConcept.coding.code", ""},
		{"Observation", "focus", fhir.Reference, "focus", ""},
		{"Group", "value", fhir.Token, "characteristic.valueCodeableConcept.coding.system characteristic.valueCodeableConcept.coding.code characteristic.valueBoolean", ""},
		{"Organization", "name", fhir.String, "name alias", ""},
		{"Library", "composed-of", fhir.Reference, "relatedArtifact.resource relatedArtifact.type", ""},
		{"MolecularSequence", "chromosome-variant-coordinate", fhir.Composite, "referenceSeq.chromosome.coding.system referenceSeq.chromosome.coding.code variant.start variant.end", ""},
		{"Task", "patient", fhir.Reference, "for", "Patient"},
		{"Bundle", "composition", fhir.Reference, "", "Composition"}, // reads a whole resource
		{"Location", "near", fhir.Special, "", ""},
	} {
		p, ok := fhir.Parameter(test.typ, test.name)
		if !ok {
			t.Errorf("%s has no %s", test.typ, test.name)
			continue
		}
		targets := strings.Join(p.Targets, " ")
		if test.elements == "" {
			targets = test.targets // of what is not mapped, nothing else is promised
		}
		if p.Name != test.name || p.Type != test.kind || strings.Join(p.Elements, " ") != test.elements || targets != test.targets {
			t.Errorf("%s.%s: got %+v", test.typ, test.name, *p)
		}
		if (p.Elements == nil) != (test.elements == "") {
			t.Errorf("%s.%s: elements %#v", test.typ, test.name, p.Elements)
		}
	}
	for _, test := range [][2]string{{"Patient", "code"}, {"Resource", "_id"}, {"DomainResource", "_id"}, {"", "_id"}, {"Patient", ""}, {"Patient", "_text"}, {"Patient", "_query"}, {"patient", "name"}} {
		if p, ok := fhir.Parameter(test[0], test[1]); ok || p != nil {
			t.Errorf("%q.%q: got %+v", test[0], test[1], p)
		}
	}
}

func TestTypes(t *testing.T) {
	all := slices.Collect(fhir.Types())
	// FHIR R4, resourcelist.html: 148 with the abstract Resource and DomainResource.
	if len(all) != 146 || !slices.IsSorted(all) {
		t.Errorf("%d types: %q", len(all), all)
	}
	for _, typ := range []string{"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Appointment", "Schedule", "Slot",
		"Encounter", "Coverage", "Task", "Communication", "ServiceRequest", "Binary", "Bundle", "OperationOutcome"} {
		if !fhir.Known(typ) || !slices.Contains(all, typ) {
			t.Errorf("%s is not known", typ)
		}
	}
}

// Every line of the table is sound by itself.
func TestTableIsSound(t *testing.T) {
	element := regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$`)
	name := regexp.MustCompile(`^_?[a-z][A-Za-z0-9-]*$`)
	count, unmapped := 0, 0
	for typ := range fhir.Types() {
		seen := map[string]bool{}
		for p := range fhir.Parameters(typ) {
			count++
			if got, ok := fhir.Parameter(typ, p.Name); !ok || got.Type != p.Type || seen[p.Name] {
				t.Errorf("%s.%s is not found by its name, or stands twice", typ, p.Name)
			}
			seen[p.Name] = true
			if !name.MatchString(p.Name) || p.Type == "" {
				t.Errorf("%s: %+v", typ, p)
			}
			if p.Elements == nil {
				unmapped++
			}
			for _, e := range p.Elements {
				if !element.MatchString(e) {
					t.Errorf("%s.%s reads %q", typ, p.Name, e)
				}
			}
			for _, target := range p.Targets {
				if !fhir.Known(target) || p.Type != fhir.Reference {
					t.Errorf("%s.%s points to %q", typ, p.Name, target)
				}
			}
			if (len(p.Components) > 1) != (p.Type == fhir.Composite) {
				t.Errorf("%s.%s has parts %q", typ, p.Name, p.Components)
			}
		}
		for _, common := range []string{"_id", "_lastUpdated", "_profile", "_security", "_tag"} {
			if !seen[common] {
				t.Errorf("%s has no %s", typ, common)
			}
		}
	}
	if count < 2000 || unmapped != 3 {
		t.Errorf("%d parameters, %d of them not mapped", count, unmapped)
	}
	if n := len(slices.Collect(fhir.Parameters("Nope"))); n != 0 {
		t.Errorf("an unknown type has %d parameters", n)
	}
}

// FHIR R4, compartmentdefinition-patient.html.
func TestPatientCompartment(t *testing.T) {
	c := fhir.PatientCompartment()
	for typ, want := range map[string]string{
		"Appointment": "participant.actor", "Encounter": "subject", "Coverage": "policyHolder subscriber beneficiary payor",
		"Observation": "subject performer", // never focus
		"Task":        "for focus", "Communication": "subject sender recipient", "ServiceRequest": "subject performer",
		"Schedule": "actor", "RelatedPerson": "patient", "Claim": "patient payee.party", "AuditEvent": "agent.who entity.what",
		"Composition": "subject author attester.party", "Group": "member.entity", "EnrollmentRequest": "candidate",
		"Patient": "", "Practitioner": "", "Organization": "", "Location": "", "Slot": "", "Medication": "", "Bundle": "",
	} {
		if got := strings.Join(c[typ], " "); got != want {
			t.Errorf("%s: got %q, want %q", typ, got, want)
		}
	}
	if len(c) != 66 { // HL7 lists 67 with Patient
		t.Errorf("%d types", len(c))
	}
	c["Appointment"][0] = "changed"
	if got := fhir.PatientCompartment()["Appointment"][0]; got != "participant.actor" {
		t.Errorf("a caller changed the table to %q", got)
	}
}

func TestCompartmentParameter(t *testing.T) {
	for typ, want := range map[string]string{
		"Patient": "_id", "Appointment": "patient", "Encounter": "patient", "Coverage": "patient", "Observation": "patient",
		"Task": "patient", "Schedule": "actor", "Group": "member", "AdverseEvent": "subject", "SupplyRequest": "subject",
		"Practitioner": "", "Slot": "", "Nope": "", "Resource": "", "GuidanceResponse": "",
	} {
		if got, ok := fhir.CompartmentParameter(typ); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", typ, got, ok, want)
		}
	}
	// Narrowing never leaves the compartment: the parameter reads its elements alone.
	for typ, elements := range fhir.PatientCompartment() {
		name, _ := fhir.CompartmentParameter(typ)
		p, ok := fhir.Parameter(typ, name)
		if !ok || p.Type != fhir.Reference || p.Elements == nil {
			t.Errorf("%s: %s is %+v", typ, name, p)
			continue
		}
		for _, e := range p.Elements {
			if !slices.Contains(elements, e) {
				t.Errorf("%s: %s reads %s, outside the compartment's %q", typ, name, e, elements)
			}
		}
	}
}
