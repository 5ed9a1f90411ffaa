package policies_test

import (
	"context"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// compartment is enough of FHIR's patient compartment for these tests; the gateway has the whole.
var compartment = transforms.Compartment{
	"Appointment": {"participant.actor"},
	"Coverage":    {"beneficiary", "policyHolder", "subscriber", "payor"},
	"Encounter":   {"subject"},
}

func load(t testing.TB, o policies.Options) *policies.Engine {
	t.Helper()
	o.Compartment = compartment
	if o.Budget == 0 {
		o.Budget = time.Minute // a loaded machine is not what is tested
	}
	e, err := policies.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// call is a scheduling agent who reads an appointment for a ticket.
func call() *policies.Input {
	return &policies.Input{
		Caller: policies.Caller{
			Subject: "agent-7", Issuer: "https://id.example.org", Client: "desk-app",
			Roles: []string{"staff", "helpdesk-scheduling"},
		},
		Ticket:  policies.Ticket{ID: "INC-1042", Category: "appointment"},
		Purpose: "PATADMIN",
		Request: policies.Request{Interaction: "read", Type: "Appointment", HasID: true},
		Context: policies.Context{EHR: "main", Tenant: "main"},
		Network: policies.Network{Source: "192.0.2.10"},
		Time:    policies.Clock(time.Date(2024, 6, 3, 9, 30, 0, 0, time.UTC)),
	}
}

func TestDefaultDecides(t *testing.T) {
	e := load(t, policies.Options{})
	change := func(f func(*policies.Input)) *policies.Input {
		in := call()
		f(in)
		return in
	}
	tests := []struct {
		name    string
		in      *policies.Input
		code    string
		dataset string
		purpose string
	}{
		{"allowed", call(), "policy-allowed", "scheduling", "PATADMIN"},
		{"purpose of the desk", change(func(in *policies.Input) { in.Purpose = "" }), "policy-allowed", "scheduling", "PATADMIN"},
		{"directory without ticket", change(func(in *policies.Input) {
			in.Ticket = policies.Ticket{}
			in.Request = policies.Request{Interaction: "search-type", Type: "Slot", Parameters: []string{"schedule"}}
		}), "policy-allowed", "scheduling", "PATADMIN"},
		{"the ticket picks the desk", change(func(in *policies.Input) {
			in.Caller.Roles = []string{"helpdesk-billing", "helpdesk-scheduling"}
			in.Ticket.Category, in.Purpose, in.Request.Type = "invoice", "", "Coverage"
		}), "policy-allowed", "billing", "HPAYMT"},
		{"several desks", change(func(in *policies.Input) {
			in.Caller.Roles = []string{"helpdesk-billing", "helpdesk-scheduling"}
			in.Ticket.Category = ""
		}), "policy-desk", "", ""},
		{"no role", change(func(in *policies.Input) { in.Caller.Roles = nil }), "policy-role", "", ""},
		{"no ticket", change(func(in *policies.Input) { in.Ticket = policies.Ticket{} }), "policy-ticket", "", ""},
		{"another desk's ticket", change(func(in *policies.Input) { in.Ticket.Category = "login" }), "policy-category", "", ""},
		{"hidden type", change(func(in *policies.Input) { in.Request.Type = "Observation" }), "policy-type", "", ""},
		{"treatment", change(func(in *policies.Input) { in.Purpose = "TREAT" }), "policy-purpose", "", ""},
		{"write", change(func(in *policies.Input) { in.Request.Interaction = "patch" }), "policy-allowed", "scheduling", "PATADMIN"},
		{"write of what another desk writes", change(func(in *policies.Input) {
			in.Caller.Roles, in.Ticket.Category, in.Purpose = []string{"helpdesk-billing"}, "billing", ""
			in.Request.Interaction, in.Request.Type = "create", "Communication"
		}), "policy-interaction", "", ""},
		{"nothing known", &policies.Input{}, "policy-interaction", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := e.Decide(context.Background(), tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if d.Reason.Code != tt.code || d.Dataset != tt.dataset || d.Purpose != tt.purpose {
				t.Errorf("got %s, dataset %q, purpose %q; want %s, %q, %q", d.Reason.Code, d.Dataset, d.Purpose, tt.code, tt.dataset, tt.purpose)
			}
			if allowed := tt.dataset != ""; d.Allow != allowed || (d.Plan != nil) != allowed {
				t.Errorf("allow is %v, plan is %v", d.Allow, d.Plan)
			}
			if d.Revision != e.Revision() || d.BreakGlass || d.Patient != "" || len(d.Obligations) != 0 {
				t.Errorf("unexpected: %+v", d)
			}
			if !strings.HasSuffix(d.Reason.Text, ".") {
				t.Errorf("not a sentence: %q", d.Reason.Text)
			}
		})
	}
}

// An update has to name the version that it is meant for.
func TestDefaultObliges(t *testing.T) {
	in := call()
	in.Request.Interaction = "update"
	d, err := load(t, policies.Options{}).Decide(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Allow || !slices.Equal(d.Obligations, []policies.Obligation{policies.IfMatch}) {
		t.Errorf("%+v", d)
	}
}

func TestDefaultDeniesLabels(t *testing.T) {
	d, err := load(t, policies.Options{}).Decide(context.Background(), call())
	if err != nil {
		t.Fatal(err)
	}
	const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	want := []transforms.Label{{System: confidentiality, Code: "R"}, {System: confidentiality, Code: "V"}}
	if !slices.Equal(d.DenyLabels, want) {
		t.Errorf("got %v, want %v", d.DenyLabels, want)
	}
}

// A setting that is misspelt closes the door, each of them.
func TestMisspeltSettingsRefuse(t *testing.T) {
	for _, setting := range []string{"roles", "desks", "categories", "tickets", "interactions", "hours", "organisations", "deny_labels"} {
		t.Run(setting, func(t *testing.T) {
			tree := copyOf(t, policies.Default())
			file := tree["halfdoor/data.yaml"]
			changed := strings.Replace(string(file.Data), "\n"+setting+":", "\nx"+setting+":", 1)
			if changed == string(file.Data) {
				t.Fatal("no such setting")
			}
			file.Data = []byte(changed)
			in := call()
			in.Ticket.ID = ""
			if setting != "tickets" {
				in.Ticket.ID = "INC-1042"
			}
			d, err := load(t, policies.Options{Bundle: tree}).Decide(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			if d.Allow {
				t.Error("it is allowed")
			}
		})
	}
}

func TestDefaultDatasets(t *testing.T) {
	e := load(t, policies.Options{})
	if got, want := e.Datasets(), []string{"access", "billing", "emergency", "scheduling"}; !slices.Equal(got, want) {
		t.Fatalf("datasets are %v, want %v", got, want)
	}
	covered := map[string]bool{}
	for _, name := range e.Datasets() {
		plan, ok := e.Plan(name)
		if !ok {
			t.Fatalf("no plan of %s", name)
		}
		ds := plan.Dataset()
		if ds.Name != name || ds.Title == "" || ds.Version < 1 {
			t.Errorf("%s: name %q, title %q, version %d", name, ds.Name, ds.Title, ds.Version)
		}
		for resourceType := range ds.Resources {
			covered[resourceType] = true
		}
	}
	for _, resourceType := range []string{
		"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Appointment", "Schedule", "Slot",
		"Encounter", "Coverage", "Task", "Communication", "ServiceRequest",
	} {
		if !covered[resourceType] {
			t.Errorf("no dataset shows %s", resourceType)
		}
	}
	if _, ok := e.Plan("nothing"); ok {
		t.Error("a plan of an unknown dataset")
	}
}

// OPA's tools must see in the folder what this program sees.
func TestDefaultIsAnOPABundle(t *testing.T) {
	loader, err := bundle.NewFSLoader(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.NewCustomReader(loader).WithSkipBundleVerification(true).Read()
	if err != nil {
		t.Fatal(err)
	}
	data := policies.ReadData(t, policies.Default())
	if !reflect.DeepEqual(b.Data, data) {
		t.Errorf("OPA reads %v, this program %v", b.Data, data)
	}
}

func TestDefaultTests(t *testing.T) {
	r, err := policies.Test(context.Background(), policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed() {
		t.Errorf("failed: %v", r.Failures())
	}
	if len(r.Gaps) > 0 {
		t.Errorf("no test reaches %v", r.Gaps)
	}
	t.Logf("%d tests, %d lines covered", len(r.Tests), r.Covered)
}

func TestRevision(t *testing.T) {
	plain := copyOf(t, policies.Default())
	first := load(t, policies.Options{Bundle: plain}).Revision()
	if again := load(t, policies.Options{Bundle: copyOf(t, plain)}).Revision(); again != first {
		t.Errorf("the same files are %s and %s", first, again)
	}

	tested := copyOf(t, plain)
	tested["halfdoor/more_test.rego"] = &fstest.MapFile{Data: []byte("package halfdoor_test\n")}
	tested["README.md"] = &fstest.MapFile{Data: []byte("other words")}
	if got := load(t, policies.Options{Bundle: tested}).Revision(); got != first {
		t.Errorf("a test or a text made %s of %s", got, first)
	}

	changed := copyOf(t, plain)
	changed["halfdoor/more/data.yaml"] = &fstest.MapFile{Data: []byte("x: 1\n")}
	if got := load(t, policies.Options{Bundle: changed}).Revision(); got == first {
		t.Error("changed data has the same revision")
	}

	stated := copyOf(t, plain)
	stated[".manifest"] = &fstest.MapFile{Data: []byte(`{"revision": "2024-06"}`)}
	if got := load(t, policies.Options{Bundle: stated}).Revision(); !strings.HasPrefix(got, "2024-06+") {
		t.Errorf("the stated revision is lost: %s", got)
	}
}

func TestOptions(t *testing.T) {
	if _, err := policies.Load(policies.Options{}); err == nil {
		t.Error("loads without a compartment")
	}
	if _, err := policies.Load(policies.Options{Compartment: compartment, Budget: -1}); err == nil {
		t.Error("loads with a negative budget")
	}
}

func TestConcurrentDecisions(t *testing.T) {
	e := load(t, policies.Options{Budget: time.Minute})
	types := []string{"Appointment", "Observation", "Slot", "Patient"}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				in := call()
				in.Request.Type = types[(g+i)%len(types)]
				d, err := e.Decide(context.Background(), in)
				if err != nil {
					t.Error(err)
					return
				}
				if want := in.Request.Type != "Observation"; d.Allow != want {
					t.Errorf("%s: allow is %v", in.Request.Type, d.Allow)
				}
			}
		})
	}
	wg.Wait()
}

// copyOf copies a bundle into memory, to change it.
func copyOf(t testing.TB, tree fs.FS) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		out[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
