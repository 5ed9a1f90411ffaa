package policies_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

// What a bundle's desks may do is read from where the default bundle's rules read it; a bundle that keeps
// it elsewhere is not misread.
func TestStatedOffers(t *testing.T) {
	e := load(t, policies.Options{})
	offers := e.StatedOffers()
	if len(offers) != 3 {
		t.Fatalf("offers %+v", offers)
	}
	access, scheduling := offers[0], offers[2]
	if access.Dataset != "access" || !slices.Contains(access.Interactions, "search-type") || len(access.Writes) != 0 ||
		!reflect.DeepEqual(access.Operations, map[string][]string{"Patient": {"match"}}) {
		t.Errorf("access %+v", access)
	}
	if !slices.Equal(scheduling.Writes["Appointment"], []string{"patch", "update"}) || !slices.Equal(scheduling.Writes["Communication"], []string{"create"}) {
		t.Errorf("scheduling %+v", scheduling)
	}
	for name, data := range map[string]string{
		"none":       "reasons: {a: b}\n",
		"other form": "desks: [front, back]\ninteractions: {read: x}\n",
		"no mapping": "desks: 7\n",
	} {
		tree := copyOf(t, policies.Default())
		tree["halfdoor/data.yaml"] = &fstest.MapFile{Data: []byte(data)}
		for path := range tree {
			if len(path) > 5 && path[len(path)-5:] == ".rego" {
				delete(tree, path)
			}
		}
		tree["halfdoor/decision.rego"] = &fstest.MapFile{Data: []byte("package halfdoor\n\ndecision := {\"allow\": false, \"reason\": {\"code\": \"x\", \"text\": \"X.\"}}\n")}
		if got := load(t, policies.Options{Bundle: tree}).StatedOffers(); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
