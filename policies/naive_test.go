package policies_test

import (
	"context"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

// naiveBundle is the default bundle with other rules: those of testdata/naive, which are to decide the same.
func naiveBundle(t testing.TB) fstest.MapFS {
	tree := copyOf(t, policies.Default())
	for name := range tree {
		if strings.HasSuffix(name, ".rego") {
			delete(tree, name)
		}
	}
	for name, f := range copyOf(t, os.DirFS("testdata/naive")) {
		tree["halfdoor/"+name] = f
	}
	return tree
}

// The calls that the benchmarks ask about get what their table says.
func TestDeskCalls(t *testing.T) {
	e := load(t, policies.Options{})
	for _, c := range deskCalls {
		d, err := e.Decide(context.Background(), c.input())
		if err != nil {
			t.Fatal(err)
		}
		if d.Allow != (c.refused == "") || c.refused != "" && d.Reason.Code != c.refused {
			t.Errorf("%+v: %s", c, d.Reason.Code)
		}
	}
}

// The rules of the default bundle decide as the same rules do that were written without a thought for speed, with
// settings other than the default as well.
func TestDefaultDecidesAsNaive(t *testing.T) {
	settings := map[string]func(s string) string{
		"default":         func(s string) string { return s },
		"organisations":   replace("organisations:\n  enforced: false", "organisations:\n  enforced: true"),
		"hours":           replace("hours:\n  enforced: false", "hours:\n  enforced: true"),
		"no tickets":      replace("required: true", "required: false"),
		"versions":        replace("  patch: changes what", "  update: changes what"),
		"no purposes":     replace("default_purpose: PATADMIN", "other_purpose: PATADMIN"),
		"two roles":       replace("  helpdesk-billing: billing", "  helpdesk-billing: billing\n  staff: billing"),
		"a missing desk":  replace("  helpdesk-access: access", "  helpdesk-access: front"),
		"desks lost":      replace("\ndesks:", "\nxdesks:"),
		"labels lost":     replace("\ndeny_labels:", "\nxdeny_labels:"),
		"categories lost": replace("\ncategories:", "\nxcategories:"),
	}
	for name, change := range settings {
		t.Run(name, func(t *testing.T) {
			fast, naive := copyOf(t, policies.Default()), naiveBundle(t)
			for _, tree := range []fstest.MapFS{fast, naive} {
				before := string(tree["halfdoor/data.yaml"].Data)
				after := change(before)
				if after == before && name != "default" {
					t.Fatal("nothing is changed")
				}
				tree["halfdoor/data.yaml"] = &fstest.MapFile{Data: []byte(after)}
			}
			one, other := load(t, policies.Options{Bundle: fast}), load(t, policies.Options{Bundle: naive})
			r := rand.New(rand.NewPCG(1, 2))
			codes := map[string]int{}
			for range 800 {
				in := randomInput(r)
				a, errA := one.Decide(context.Background(), in)
				b, errB := other.Decide(context.Background(), in)
				if errA != nil || errB != nil {
					t.Fatalf("%+v: %v, %v", in, errA, errB)
				}
				codes[a.Reason.Code]++
				a, b = without(a), without(b)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("%+v\nis decided as %+v\nand naively  as %+v", in, a, b)
				}
			}
			if len(codes) < 3 {
				t.Errorf("the calls are all alike: %v", codes)
			}
		})
	}
}

func replace(old, by string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, by, 1) }
}

// without leaves out what two engines have of their own: the plan and the revision.
func without(d *policies.Decision) *policies.Decision {
	other := *d
	other.Plan, other.Revision = nil, ""
	slices.Sort(other.Obligations)
	return &other
}

// randomInput is mostly one of the desks' calls with a few things changed, to reach every condition.
func randomInput(r *rand.Rand) *policies.Input {
	in := deskCalls[r.IntN(len(deskCalls))].input()
	one := func(values ...string) string { return values[r.IntN(len(values))] }
	for range r.IntN(4) {
		switch r.IntN(10) {
		case 0:
			in.Caller.Roles = nil
			for range r.IntN(4) {
				in.Caller.Roles = append(in.Caller.Roles, one("staff", "helpdesk-access", "helpdesk-scheduling", "helpdesk-billing", "helpdesk-emergency", "", "site-north", "site-main"))
			}
		case 1:
			in.Ticket.Category = one("", "login", "account", "appointment", "referral", "invoice", "lunch")
		case 2:
			in.Ticket.ID = one("", "INC-1042")
		case 3:
			in.Purpose = one("", "PATADMIN", "HOPERAT", "HPAYMT", "TREAT", "BTG", "PATRQT")
		case 4:
			in.Request.Type = one("Patient", "Appointment", "Slot", "Coverage", "Task", "Communication", "Observation", "Practitioner", "Encounter", "")
		case 5:
			in.Request.Interaction = one("read", "vread", "search-type", "search-system", "update", "patch", "create", "delete", "operation", "history-type", "batch", "")
		case 6:
			in.Request.Operation = one("match", "everything", "")
		case 7:
			in.Context.Tenant = one("main", "north", "south", "")
		case 8:
			in.BreakGlass.Reason = one("records-down", "wrong-patient", "because")
			in.Caller.Roles = append(in.Caller.Roles[:len(in.Caller.Roles):len(in.Caller.Roles)], one("staff", "helpdesk-emergency", "helpdesk-emergency"))
		case 9:
			in.Time = policies.Time{Weekday: one("monday", "friday", "sunday", ""), Hour: r.IntN(24)}
		}
	}
	return in
}
