package smart_test

import (
	"errors"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

func read(resourceType string) *fhir.Request {
	return &fhir.Request{Interaction: fhir.Read, Type: resourceType, ID: "1"}
}

func search(resourceType string) *fhir.Request {
	return &fhir.Request{Interaction: fhir.SearchType, Type: resourceType}
}

func TestPermit(t *testing.T) {
	vread := &fhir.Request{Interaction: fhir.VRead, Type: "Patient", ID: "1", Version: "2"}
	for _, c := range []struct {
		name, scopes, patient string
		req                   *fhir.Request
		want                  string // Floor.Key
		err                   error
	}{
		{"read", "user/Patient.r", "", read("Patient"), "false ", nil},
		{"vread", "user/Patient.r", "", vread, "false ", nil},
		{"search", "user/Patient.s", "", search("Patient"), "false ", nil},
		{"read by search's letter", "user/Patient.s", "", read("Patient"), "", smart.ErrScope},
		{"vread by search's letter", "user/Patient.s", "", vread, "", smart.ErrScope},
		{"search by read's letter", "user/Patient.r", "", search("Patient"), "", smart.ErrScope},
		{"search by write's letters", "user/Patient.cud", "", search("Patient"), "", smart.ErrScope},
		{"wildcard", "system/*.rs", "", read("Observation"), "false ", nil},
		{"another type", "user/Patient.rs", "", read("Observation"), "", smart.ErrScope},
		{"no scopes", "", "7", read("Patient"), "", smart.ErrScope},
		{"only others", "openid fhirUser launch/patient", "7", read("Patient"), "", smart.ErrScope},
		{"malformed scope", "user/Patient.sr", "7", read("Patient"), "", smart.ErrScope},
		{"capabilities", "", "", &fhir.Request{Interaction: fhir.Capabilities}, "false ", nil},
		{"update", "user/*.cruds", "", &fhir.Request{Interaction: fhir.Update, Type: "Patient", ID: "1"}, "", smart.ErrScope},
		{"unknown interaction", "user/*.cruds", "", &fhir.Request{Interaction: "invoke", Type: "Patient"}, "", smart.ErrScope},
		{"no interaction", "user/*.cruds", "", &fhir.Request{Type: "Patient"}, "", smart.ErrScope},
		{"search of the whole system", "user/*.cruds", "", &fhir.Request{Interaction: fhir.SearchSystem}, "", smart.ErrScope},
		{"no type", "user/*.cruds", "", search(""), "", smart.ErrScope},

		{"patient's own", "patient/Patient.rs", "7", read("Patient"), "false 7", nil},
		{"patient's compartment", "patient/*.rs", "7", search("Appointment"), "false 7", nil},
		{"no launch patient", "patient/*.rs", "", read("Patient"), "", smart.ErrNoPatient},
		{"no launch patient, and no scope", "patient/Slot.rs", "", read("Patient"), "", smart.ErrScope},
		{"user wins over patient", "patient/Patient.rs user/Patient.rs", "7", read("Patient"), "false ", nil},
		{"user elsewhere does not widen", "patient/Patient.rs user/Appointment.rs", "7", read("Patient"), "false 7", nil},
		{"user without a patient", "patient/Patient.rs user/Patient.rs", "", read("Patient"), "false ", nil},

		{"shared by wildcard", "patient/*.rs", "7", read("Practitioner"), "", smart.ErrScope},
		{"shared by v1 wildcard", "patient/*.read", "7", search("Location"), "", smart.ErrScope},
		{"shared by name", "patient/Practitioner.r", "7", read("Practitioner"), "true 7", nil},
		{"shared by name and wildcard", "patient/*.rs patient/Slot.s", "7", search("Slot"), "true 7", nil},
		{"shared by name, without a patient", "patient/Practitioner.r", "", read("Practitioner"), "", smart.ErrNoPatient},
		{"shared by user's wildcard", "user/*.rs", "", read("Organization"), "false ", nil},

		{"granular search", "user/Observation.rs?category=a", "", search("Observation"), "false  category=a", nil},
		{"granular search, two parameters", "user/Observation.rs?category=a&code=b", "", search("Observation"), "false  category=a code=b", nil},
		{"granular search, patient's", "patient/Observation.rs?category=a", "7", search("Observation"), "false 7 category=a", nil},
		{"granular, without a patient", "patient/Observation.rs?category=a", "", search("Observation"), "", smart.ErrNoPatient},
		{"granular read", "user/Observation.rs?category=a", "", read("Observation"), "", smart.ErrGranular},
		{"granular read, and a plain scope", "user/Observation.rs?category=a user/Observation.r", "", read("Observation"), "false ", nil},
		{"plain wins", "user/Observation.rs?category=a user/Observation.rs", "", search("Observation"), "false ", nil},
		{"plain wildcard wins", "user/Observation.rs?category=a user/*.rs", "", search("Observation"), "false ", nil},
		{"plain for read only", "user/Observation.rs?category=a user/Observation.r", "", search("Observation"), "false  category=a", nil},
		{"patient's plain wins over user's granular", "user/Observation.rs?category=a patient/Observation.rs", "7", search("Observation"), "false 7", nil},
		{"user's granular where there is no patient", "user/Observation.rs?category=a patient/Observation.rs", "", search("Observation"), "false  category=a", nil},
		{"joined by comma", "user/Observation.rs?category=a system/Observation.s?category=b,a", "", search("Observation"), "false  category=a,b", nil},
		{"joined, patient's", "patient/Observation.s?category=a patient/Observation.s?category=b", "7", search("Observation"), "false 7 category=a,b", nil},
		{"same twice", "user/Observation.s?category=a&code=b user/Observation.rs?category=a&code=b", "", search("Observation"), "false  category=a code=b", nil},
		{"different parameters", "user/Observation.s?category=a user/Observation.s?code=b", "", search("Observation"), "", smart.ErrGranular},
		{"a pair and a single", "user/Observation.s?category=a&code=b user/Observation.s?category=c", "", search("Observation"), "", smart.ErrGranular},
		{"a single and a pair", "user/Observation.s?category=c user/Observation.s?category=a&code=b", "", search("Observation"), "", smart.ErrGranular},
		{"parameter repeated is an AND", "user/Observation.s?category=a&category=b user/Observation.s?category=c", "", search("Observation"), "", smart.ErrGranular},
		{"user's and patient's", "user/Observation.s?category=a patient/Observation.s?category=b", "7", search("Observation"), "", smart.ErrGranular},
		{"granular wildcard", "user/*.rs?_security=N", "", search("Observation"), "false  _security=N", nil},
		{"granular shared by wildcard", "patient/*.rs?_security=N", "7", search("Slot"), "", smart.ErrScope},
		{"malformed granular beside one", "user/Observation.s?favourite=a user/Observation.s?category=a", "", search("Observation"), "false  category=a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &smart.Grant{Scopes: smart.ParseScopes(c.scopes), Patient: c.patient}
			for range 2 { // the grant is remembered between calls and must not change
				floor, err := smart.Permit(g, c.req)
				if !errors.Is(err, c.err) || err == nil && floor.Key() != c.want {
					t.Fatalf("Permit = %q, %v, want %q, %v", floor.Key(), err, c.want, c.err)
				}
				for _, p := range floor.Narrow {
					if p.Definition == nil || p.Definition.Name != p.Name {
						t.Errorf("%s has no definition", p.Name)
					}
				}
			}
		})
	}
	if _, err := smart.Permit(nil, read("Patient")); !errors.Is(err, smart.ErrScope) {
		t.Errorf("no grant: %v", err)
	}
	unparsed := &smart.Grant{Scopes: []smart.Scope{{Type: "Patient", Read: true}}}
	if _, err := smart.Permit(unparsed, read("Patient")); !errors.Is(err, smart.ErrScope) {
		t.Errorf("scope without a level: %v", err)
	}
}

// Where the compartment's parameter is known, so must its elements be, or the answer
// could not be held to what Permit promises.
func TestCompartmentAgrees(t *testing.T) {
	compartment := fhir.PatientCompartment()
	for _, name := range []string{"Appointment", "Observation", "Encounter", "Coverage", "Task", "Communication",
		"ServiceRequest", "Schedule", "Practitioner", "PractitionerRole", "Organization", "Location", "Slot", "Medication"} {
		_, narrowed := fhir.CompartmentParameter(name)
		if narrowed != (len(compartment[name]) > 0) {
			t.Errorf("%s: parameter %v, elements %q", name, narrowed, compartment[name])
		}
	}
}

func BenchmarkPermit(b *testing.B) {
	g := &smart.Grant{Scopes: smart.ParseScopes("openid fhirUser launch/patient patient/Patient.rs patient/Appointment.rs patient/Slot.rs"), Patient: "7"}
	req := search("Appointment")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := smart.Permit(g, req); err != nil {
			b.Fatal(err)
		}
	}
}
