package transforms_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

const drifting = `{"resources": {"Patient": {"id": "token", "active": "keep", "name.family": "keep", "birthDate": "year",
	"telecom[system=phone].value": "keep", "contact": "keep", "contained": "keep"}, "Slot": {"*": "keep"}},
	"require": {"Patient": ["id", "active", "name"], "Slot": ["status", "reference"]}}`

// TestDrift has what the EHR sends and no row names, and what the dataset requires and is not there.
func TestDrift(t *testing.T) {
	f := load(t, "drift", drifting)
	for _, c := range []struct {
		name, in         string
		unknown, missing map[string]int
	}{
		{"all as it should be", `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1"},"active":true,"name":[{"family":"x"}],"_birthDate":{"id":"x"},"contained":[]}`,
			map[string]int{}, map[string]int{}},
		{"unknown members", `{"resourceType":"Patient","id":"p1","active":true,"photo":[{"data":"x"}],"_photo":{},"name":[{"given":["x"],"use":"y"},{"given":["z"]}]}`,
			map[string]int{"Patient.photo": 1, "Patient._photo": 1, "Patient.name.given": 2, "Patient.name.use": 1}, map[string]int{}},
		{"names that cannot be told", `{"resourceType":"Patient","id":"p1","active":true,"name":{},"Chalmers":1,"a b":2,"7":3,"":4,"` + strings.Repeat("x", 65) + `":5,"?":6,"` + strings.Repeat("x", 64) + `":7,"_":8}`,
			map[string]int{"Patient.?": 6, "Patient." + strings.Repeat("x", 64): 1, "Patient._": 1}, map[string]int{}},
		{"a name with an escape", `{"resourceType":"Patient","id":"p1","active":true,"name":{},"ph\u006fto":1}`, map[string]int{"Patient.photo": 1}, map[string]int{}},
		{"below a condition", `{"resourceType":"Patient","id":"p1","active":true,"name":{},"telecom":[{"system":"phone","use":"x"},{"system":"email","use":"y"}]}`,
			map[string]int{"Patient.telecom.system": 1, "Patient.telecom.use": 1}, map[string]int{}},
		{"below what is kept, and in what is contained", `{"resourceType":"Patient","id":"p1","active":true,"name":{},"contact":{"other":1},"contained":[{"resourceType":"Patient","other":1}]}`,
			map[string]int{}, map[string]int{}},
		{"missing", `{"resourceType":"Patient","_active":{"extension":[]},"name":null}`, map[string]int{}, map[string]int{"Patient.id": 1, "Patient.active": 1, "Patient.name": 1}},
		{"missing below a star", `{"resourceType":"Slot","id":"s","other":1}`, map[string]int{}, map[string]int{"Slot.status": 1, "Slot.reference": 1}},
		{"there below a star", `{"status":"free","reference":"Slot/1","resourceType":"Slot"}`, map[string]int{}, map[string]int{}},
		{"of a type without a row", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Claim","status":"x"}}]}`, map[string]int{}, map[string]int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := []byte(c.in)
			for _, src := range readers(doc, 0) {
				got := filter(t, f.plan, src, options())
				if got.err != nil || !maps.Equal(got.report.Unknown, c.unknown) || !maps.Equal(got.report.Missing, c.missing) {
					t.Errorf("%s: unknown %v, missing %v, error %v\nwant %v and %v", src.name, got.report.Unknown, got.report.Missing, got.err, c.unknown, c.missing)
				}
				agree(t, src.name, doc, reference.Filter(f.ds, compartment, options(), doc), got, options())
			}
		})
	}
}

// TestDriftBounds has more resources than are sampled, more paths than are told apart, and resources that do not leave.
func TestDriftBounds(t *testing.T) {
	f := load(t, "drift", drifting)
	o := options()
	o.DenyLabels = []transforms.Label{{System: "s", Code: "R"}}
	var entries []string
	for n := range 300 { // none of them leaves: nothing of them is told, nor taken room by
		entries = append(entries, fmt.Sprintf(`{"resource":{"resourceType":"Patient","hidden%d":1,"other%d":1,"meta":{"security":[{"system":"s","code":"R"}]}}}`, n, n))
	}
	for range 20 {
		entries = append(entries, `{"resource":{"resourceType":"Patient","photo":1}}`, `{"resource":{"resourceType":"Slot","photo":1}}`)
	}
	want := map[string]int{"Patient.photo": 8}
	doc := bundleOf(entries)
	for range 2 { // the second with what the first left in the pool
		got := filter(t, f.plan, bytes.NewReader(doc), o)
		if got.err != nil || !maps.Equal(got.report.Unknown, want) {
			t.Fatalf("unknown %v, error %v, want %v", got.report.Unknown, got.err, want)
		}
		if missing := got.report.Missing; missing["Patient.id"] != 20 || missing["Slot.status"] != 20 {
			t.Errorf("missing %v", missing)
		}
		agree(t, "sampled", doc, reference.Filter(f.ds, compartment, o, doc), got, o)
	}

	for round := range 3 { // other names each time
		var entries []string
		for n := range 10 {
			resource := `{"resourceType":"Patient"`
			for m := range 10 {
				resource += fmt.Sprintf(`,"m%dx%dx%d":1,"n%d":1`, round, n, m, m)
			}
			entries = append(entries, `{"resource":`+resource+`}}`)
		}
		doc := bundleOf(entries)
		got := filter(t, f.plan, bytes.NewReader(doc), o)
		if got.err != nil || len(got.report.Unknown) != 65 || got.report.Unknown["?"] == 0 {
			t.Errorf("round %d: %d paths, %v", round, len(got.report.Unknown), got.err)
		}
		agree(t, "many paths", doc, reference.Filter(f.ds, compartment, o, doc), got, o)
	}
}

func bundleOf(entries []string) []byte {
	return []byte(`{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(entries, ",") + `]}`)
}
