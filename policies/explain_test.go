package policies_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/policies"
)

// TestExplain follows a refusal to the condition at its root, and a permission to the branch that gave it.
func TestExplain(t *testing.T) {
	e := load(t, policies.Options{})
	in := call()
	allowed := e.Explain(context.Background(), in)
	last := allowed.Branches[len(allowed.Branches)-1]
	if allowed.Err != nil || !allowed.Decision.Allow || !last.Decided || len(last.Held) < 6 {
		t.Fatalf("%+v", allowed)
	}
	in.Request.Type = "Observation"
	refused := e.Explain(context.Background(), in)
	if refused.Err != nil || refused.Decision.Reason.Code != "policy-type" {
		t.Fatalf("%+v", refused)
	}
	var root *policies.Condition
	for _, b := range refused.Branches {
		if b.Failed != nil && b.Failed.Text == "type_shown" && len(b.Failed.Below) == 1 {
			root = &b.Failed.Below[0]
		}
	}
	if root == nil || root.File != "halfdoor/decision.rego" || root.Line == 0 ||
		!reflect.DeepEqual(root.Told, []policies.Told{{Field: "input.request.type", Value: `"Observation"`}}) {
		t.Errorf("the root of it is %+v", root)
	}
	if last := refused.Branches[len(refused.Branches)-1]; !last.Decided || !strings.Contains(last.Text, "policy-type") {
		t.Errorf("decided by %+v", last)
	}
}

// What an explanation says of the decision is the decision, for a policy that fails as well.
func TestExplainFailure(t *testing.T) {
	tree := copyOf(t, policies.Default())
	tree["halfdoor/decision.rego"].Data = []byte("package halfdoor\n\ndecision := {\"allow\": true} if to_number(input.ticket.id) > 1\n")
	for _, name := range []string{"break_glass", "desk", "hours", "label", "organisation", "purpose", "ticket"} {
		delete(tree, "halfdoor/"+name+".rego")
	}
	e := load(t, policies.Options{Bundle: tree})
	got := e.Explain(context.Background(), call())
	if got.Err == nil || got.Decision != nil || strings.Contains(got.Err.Error(), call().Ticket.ID) {
		t.Errorf("%+v", got)
	}
}

// TestParseInput reads what a policy is given.
func TestParseInput(t *testing.T) {
	in := call()
	in.Version, in.Caller.Binding, in.BreakGlass.Reason = policies.InputVersion, "dpop", "records-down"
	in.Request.Parameters, in.Request.Includes, in.Request.Entries = []string{"date"}, []string{"_include=Appointment:actor"}, 3
	got, err := policies.ParseInput(policies.InputJSON(t, in))
	if err != nil {
		t.Fatal(err)
	}
	if want, have := string(policies.InputJSON(t, in)), string(policies.InputJSON(t, got)); want != have {
		t.Errorf("got  %s\nwant %s", have, want)
	}
	for _, doc := range []string{`{"ticket": {"number": 1}}`, `{} {}`, `{"caller": "me"}`, `[`, ``} {
		if _, err := policies.ParseInput([]byte(doc)); err == nil {
			t.Errorf("taken: %s", doc)
		}
	}
}
