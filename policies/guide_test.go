package policies_test

import (
	"context"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

// What the bundle's README tells an author to write works as it stands.
func TestGuide(t *testing.T) {
	readme, err := fs.ReadFile(policies.Default(), "README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```(?:yaml|rego)\n(.*?)```").FindAllSubmatch(readme, -1) {
		blocks = append(blocks, string(m[1]))
	}
	if len(blocks) != 4 {
		t.Fatalf("the guide has %d pieces", len(blocks))
	}
	tree := copyOf(t, policies.Default())
	for i, name := range []string{
		"halfdoor/data.yml", // beside data.yaml, as the guide's lines go into its mappings
		"halfdoor/datasets/records/data.yaml",
		"halfdoor/network.rego",
		"halfdoor/network_test.rego",
	} {
		tree[name] = &fstest.MapFile{Data: []byte(blocks[i])}
	}
	rules := string(tree["halfdoor/decision.rego"].Data)
	wired := strings.Replace(rules, "\twithin_hours\n", "\twithin_hours\n\tnetwork_fits\n", 1)
	if wired == rules {
		t.Fatal("no place for the condition")
	}
	tree["halfdoor/decision.rego"] = &fstest.MapFile{Data: []byte(wired)}

	r, err := policies.Test(context.Background(), tree)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed() {
		t.Errorf("failed: %v", r.Failures())
	}

	e := load(t, policies.Options{Bundle: tree})
	in := call()
	in.Caller.Roles, in.Ticket.Category, in.Request.Type = []string{"helpdesk-records"}, "records", "DocumentReference"
	for source, want := range map[string]string{"10.20.0.7": "policy-allowed", "192.0.2.10": "policy-refused"} {
		in.Network.Source = source
		d, err := e.Decide(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if d.Reason.Code != want {
			t.Errorf("from %s: %s, want %s", source, d.Reason.Code, want)
		}
	}
}
