package smart_test

import (
	"errors"
	"strings"
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
		{"unknown interaction", "user/*.cruds", "", &fhir.Request{Interaction: "invoke", Type: "Patient"}, "", smart.ErrScope},
		{"no interaction", "user/*.cruds", "", &fhir.Request{Type: "Patient"}, "", smart.ErrScope},
		{"search of no types", "user/*.cruds", "", &fhir.Request{Interaction: fhir.SearchSystem}, "", smart.ErrScope},
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
		{"granular read", "user/Observation.rs?category=a", "", read("Observation"), "false  or category=a", nil},
		{"granular read, patient's", "patient/Observation.rs?category=a", "7", read("Observation"), "false 7 or category=a", nil},
		{"granular vread", "user/Patient.r?gender=male", "", vread, "false  or gender=male", nil},
		{"granular write", "user/Observation.cud?category=a", "", &fhir.Request{Interaction: fhir.Update, Type: "Observation", ID: "1"}, "", smart.ErrGranular},
		{"a date cannot be checked", "user/Observation.rs?date=2020", "", search("Observation"), "", smart.ErrGranular},
		{"nor what a Bundle holds", "user/Bundle.rs?type=document user/*.rs?_tag=a", "", read("Bundle"), "", smart.ErrGranular},
		{"nor a text", "user/Patient.rs?name=a", "", read("Patient"), "", smart.ErrGranular},
		{"nor a pair with one", "user/Observation.rs?category=a&date=2020", "", read("Observation"), "", smart.ErrGranular},
		{"what cannot be checked grants nothing", "user/Observation.rs?date=2020 user/Observation.rs?code=b", "", search("Observation"), "false  code=b", nil},
		{"granular read, and a plain scope", "user/Observation.rs?category=a user/Observation.r", "", read("Observation"), "false ", nil},
		{"plain wins", "user/Observation.rs?category=a user/Observation.rs", "", search("Observation"), "false ", nil},
		{"plain wildcard wins", "user/Observation.rs?category=a user/*.rs", "", search("Observation"), "false ", nil},
		{"plain for read only", "user/Observation.rs?category=a user/Observation.r", "", search("Observation"), "false  category=a", nil},
		{"patient's plain wins over user's granular", "user/Observation.rs?category=a patient/Observation.rs", "7", search("Observation"), "false 7", nil},
		{"user's granular where there is no patient", "user/Observation.rs?category=a patient/Observation.rs", "", search("Observation"), "false  category=a", nil},
		{"joined by comma", "user/Observation.rs?category=a system/Observation.s?category=b,a", "", search("Observation"), "false  category=a,b", nil},
		{"joined, patient's", "patient/Observation.s?category=a patient/Observation.s?category=b", "7", search("Observation"), "false 7 category=a,b", nil},
		{"same twice", "user/Observation.s?category=a&code=b user/Observation.rs?category=a&code=b", "", search("Observation"), "false  category=a code=b", nil},
		{"different parameters", "user/Observation.s?category=a user/Observation.s?code=b", "", search("Observation"), "false  or category=a or code=b", nil},
		{"a pair and a single", "user/Observation.s?category=a&code=b user/Observation.s?category=c", "", search("Observation"), "false  or category=a code=b or category=c", nil},
		{"a single and a pair", "user/Observation.s?category=c user/Observation.s?category=a&code=b", "", search("Observation"), "false  or category=c or category=a code=b", nil},
		{"parameter repeated is an AND", "user/Observation.s?category=a&category=b user/Observation.s?category=c", "", search("Observation"), "false  or category=a category=b or category=c", nil},
		{"user's and patient's", "user/Observation.s?category=a patient/Observation.s?category=b", "7", search("Observation"), "false  or category=a or category=b patient=Patient/7", nil},
		{"user's and patient's, shared", "user/Slot.r?status=free patient/Slot.r?status=busy", "7", read("Slot"), "false  or status=free or status=busy", nil},
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

// Each interaction by its least letters, and by all letters but each of those.
func TestPermitInteractions(t *testing.T) {
	of := func(is fhir.Interaction, conditional bool) *fhir.Request {
		return &fhir.Request{Interaction: is, Type: "Appointment", Conditional: conditional}
	}
	operation := func(name, typ string) *fhir.Request {
		return &fhir.Request{Interaction: fhir.Operation, Operation: name, Type: typ}
	}
	for _, c := range []struct {
		name    string
		req     *fhir.Request
		letters string
		on      string
	}{
		{"read", of(fhir.Read, false), "r", "Appointment"},
		{"vread", of(fhir.VRead, false), "r", "Appointment"},
		{"history of an instance", of(fhir.HistoryInstance, false), "r", "Appointment"},
		{"history of a type", of(fhir.HistoryType, false), "s", "Appointment"},
		{"history of the system", &fhir.Request{Interaction: fhir.HistorySystem}, "s", "*"},
		{"search", of(fhir.SearchType, false), "s", "Appointment"},
		{"search of a compartment", of(fhir.SearchCompartment, false), "s", "Appointment"},
		{"search of the system", &fhir.Request{Interaction: fhir.SearchSystem, Types: []string{"Appointment"}}, "s", "Appointment"},
		{"create", of(fhir.Create, false), "c", "Appointment"},
		{"create unless it exists", of(fhir.Create, true), "cs", "Appointment"},
		{"update", of(fhir.Update, false), "u", "Appointment"},
		{"update what is found", of(fhir.Update, true), "us", "Appointment"},
		{"patch", of(fhir.Patch, false), "u", "Appointment"},
		{"patch what is found", of(fhir.Patch, true), "us", "Appointment"},
		{"delete", of(fhir.Delete, false), "d", "Appointment"},
		{"delete what is found", of(fhir.Delete, true), "ds", "Appointment"},
		{"match", operation("match", "Patient"), "rs", "Patient"},
		{"another operation", operation("book", "Appointment"), "cruds", "Appointment"},
		{"operation on the system", operation("export", ""), "cruds", "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			permit := func(scopes, patient string) (smart.Floor, error) {
				return smart.Permit(&smart.Grant{Scopes: smart.ParseScopes(scopes), Patient: patient}, c.req)
			}
			if f, err := permit("user/"+c.on+"."+c.letters, ""); err != nil || f.Key() != "false " {
				t.Errorf("%s: %q, %v", c.letters, f.Key(), err)
			}
			if f, err := permit("patient/"+c.on+"."+c.letters, "7"); err != nil || f.Key() != "false 7" {
				t.Errorf("%s, of a patient: %q, %v", c.letters, f.Key(), err)
			}
			if _, err := permit("patient/"+c.on+"."+c.letters, ""); !errors.Is(err, smart.ErrNoPatient) {
				t.Errorf("%s, of no patient: %v", c.letters, err)
			}
			if _, err := permit("user/Slot.cruds", ""); !errors.Is(err, smart.ErrScope) {
				t.Errorf("another type: %v", err)
			}
			if c.on == "*" {
				if _, err := permit("user/Appointment.cruds user/Patient.cruds", ""); !errors.Is(err, smart.ErrScope) {
					t.Errorf("by types: %v", err)
				}
			}
			var single []string
			for _, letter := range c.letters {
				single = append(single, "user/"+c.on+"."+string(letter))
				if rest := strings.Replace("cruds", string(letter), "", 1); rest != "" {
					if _, err := permit("user/"+c.on+"."+rest, ""); !errors.Is(err, smart.ErrScope) {
						t.Errorf("without %c: %v", letter, err)
					}
				}
			}
			if f, err := permit(strings.Join(single, " "), ""); err != nil || f.Key() != "false " {
				t.Errorf("%q: %q, %v", single, f.Key(), err)
			}
		})
	}
}

func TestPermitCombines(t *testing.T) {
	system := func(types ...string) *fhir.Request {
		return &fhir.Request{Interaction: fhir.SearchSystem, Types: types}
	}
	found := func(is fhir.Interaction) *fhir.Request {
		return &fhir.Request{Interaction: is, Type: "Observation", Conditional: true}
	}
	for _, c := range []struct {
		name, scopes string
		req          *fhir.Request
		want         string
		err          error
	}{
		{"two types", "user/Observation.s user/Condition.s", system("Observation", "Condition"), "false ", nil},
		{"one of two types", "user/Observation.s", system("Observation", "Condition"), "", smart.ErrScope},
		{"two types of a patient", "patient/*.s", system("Observation", "Condition"), "false 7", nil},
		{"two floors", "user/Observation.s patient/Condition.s", system("Observation", "Condition"), "", smart.ErrGranular},
		{"shared beside a patient's", "patient/Slot.s patient/Condition.s", system("Slot", "Condition"), "", smart.ErrGranular},
		{"same narrowing", "user/*.s?_security=N", system("Slot", "Condition"), "false  _security=N", nil},
		{"narrowing of one", "user/Observation.s?code=a user/Condition.s", system("Observation", "Condition"), "", smart.ErrGranular},
		{"the narrower letter holds", "user/Observation.u patient/Observation.s", found(fhir.Patch), "false 7", nil},
		{"the condition is narrowed", "user/Observation.u user/Observation.s?code=a", found(fhir.Patch), "false  code=a", nil},
		{"the write is not", "user/Observation.s user/Observation.u?code=a", found(fhir.Patch), "", smart.ErrGranular},
		{"existence is not narrowed", "user/Observation.c user/Observation.s?code=a", found(fhir.Create), "", smart.ErrGranular},
		{"nor is a history", "user/Observation.s?code=a", &fhir.Request{Interaction: fhir.HistoryType, Type: "Observation"}, "", smart.ErrGranular},
		{"nor an operation", "user/Patient.r user/Patient.s?name=a", &fhir.Request{Interaction: fhir.Operation, Operation: "match", Type: "Patient"}, "", smart.ErrGranular},
		{"two ways to be covered", "user/Patient.r?gender=male user/Patient.s?active=true", &fhir.Request{Interaction: fhir.Operation, Operation: "match", Type: "Patient"}, "", smart.ErrGranular},
		{"the history of one is looked at", "user/Observation.r?code=a", &fhir.Request{Interaction: fhir.HistoryInstance, Type: "Observation"}, "false  or code=a", nil},
		{"a wide scope beside it", "user/Observation.c user/Observation.s?code=a user/*.s", found(fhir.Create), "false ", nil},
		{"batch", "user/Slot.s", &fhir.Request{Interaction: fhir.Batch}, "false ", nil},
		{"transaction", "patient/Slot.s", &fhir.Request{Interaction: fhir.Transaction}, "false ", nil},
		{"batch without data scopes", "openid", &fhir.Request{Interaction: fhir.Batch}, "", smart.ErrScope},
	} {
		g := &smart.Grant{Scopes: smart.ParseScopes(c.scopes), Patient: "7"}
		if f, err := smart.Permit(g, c.req); !errors.Is(err, c.err) || err == nil && f.Key() != c.want {
			t.Errorf("%s: %q, %v", c.name, f.Key(), err)
		}
	}
}

func TestPermitType(t *testing.T) {
	g := &smart.Grant{Scopes: smart.ParseScopes("patient/*.r user/Slot.rs patient/Practitioner.r user/Task.s?status=a"), Patient: "7"}
	for _, c := range []struct {
		typ   string
		needs smart.Needs
		want  string
		err   error
	}{
		{"Appointment", smart.Read, "false 7", nil},
		{"Slot", smart.Read | smart.Search, "false ", nil},
		{"Practitioner", smart.Read, "true 7", nil},
		{"Location", smart.Read, "", smart.ErrScope}, // in no compartment, and not named
		{"*", smart.Read, "false 7", nil},
		{"*", smart.Search, "", smart.ErrScope},
		{"Appointment", smart.Read | smart.Search, "", smart.ErrScope},
		{"Task", smart.Read | smart.Search, "false 7 status=a", nil},
		{"Appointment", 0, "", smart.ErrScope},
		{"Appointment", smart.Search << 1, "", smart.ErrScope},
		{"", smart.Read, "", smart.ErrScope},
	} {
		if f, err := smart.PermitType(g, c.typ, c.needs); !errors.Is(err, c.err) || err == nil && f.Key() != c.want {
			t.Errorf("%s %b: %q, %v", c.typ, c.needs, f.Key(), err)
		}
	}
	if _, err := smart.PermitType(nil, "Slot", smart.Read); !errors.Is(err, smart.ErrScope) {
		t.Errorf("no grant: %v", err)
	}
}

// Over every set of these scopes: what is permitted, scopes of the token permit letter by
// letter, and a call that no plain user/ or system/ scope covers is held to something.
func TestPermitNeverMore(t *testing.T) {
	list := strings.Fields("user/Observation.cud system/*.r user/Observation.s patient/*.rs patient/Slot.cruds patient/Observation.cu user/Slot.s?status=free patient/*.d user/*.s?_security=N")
	letters := map[smart.Needs]func(smart.Scope) bool{
		smart.Create: func(s smart.Scope) bool { return s.Create }, smart.Read: func(s smart.Scope) bool { return s.Read },
		smart.Update: func(s smart.Scope) bool { return s.Update }, smart.Delete: func(s smart.Scope) bool { return s.Delete },
		smart.Search: func(s smart.Scope) bool { return s.Search },
	}
	permitted := 0
	for set := range 1 << len(list) {
		var some []string
		for i, s := range list {
			if set>>i&1 == 1 {
				some = append(some, s)
			}
		}
		for _, patient := range []string{"", "7"} {
			g := &smart.Grant{Scopes: smart.ParseScopes(strings.Join(some, " ")), Patient: patient}
			for _, typ := range []string{"Observation", "Slot", "*"} {
				for needs := smart.Needs(1); needs < smart.Search<<1; needs++ {
					f, err := smart.PermitType(g, typ, needs)
					if err != nil {
						continue
					}
					permitted++
					wide := true
					for letter, has := range letters {
						if needs&letter == 0 {
							continue
						}
						any, plain := false, false
						for _, s := range g.Scopes {
							on := s.Type == typ || s.Type == "*" && (s.Level != smart.Patient || typ != "Slot")
							if !on || !has(s) || s.Level == smart.Patient && patient == "" {
								continue
							}
							any = true
							plain = plain || s.Level != smart.Patient && len(s.Params) == 0
						}
						if !any {
							t.Fatalf("%q, patient %q: %b on %s without %b", some, patient, needs, typ, letter)
						}
						wide = wide && plain
					}
					if held := f.Patient != "" || f.Granular(); held == wide || f.Patient != "" && f.Patient != patient || f.Shared && (typ != "Slot" || f.Patient == "") ||
						f.Granular() && needs&(smart.Read|smart.Search) == 0 || len(f.Narrow) > 0 && !f.Granular() {
						t.Fatalf("%q, patient %q: %b on %s is held to %+v", some, patient, needs, typ, f)
					}
				}
			}
		}
	}
	if permitted == 0 {
		t.Error("nothing is permitted")
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
