package transforms_test

import (
	"strings"
	"testing"
)

// TestKeptCompanions has members with an underscore before and behind the member that turns out
// not to leave.
func TestKeptCompanions(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Encounter": {"a": "keep"}}}`).plan
	for _, c := range []struct{ name, in, want string }{
		{"reference, behind", `{"x":1,"reference":"#y","_reference":{"id":"r"}}`, `{"x":1}`},
		{"reference, before, in the middle", `{"x":1,"_reference":{"id":"r"},"y":2,"reference":"#y","z":3}`, `{"x":1,"y":2,"z":3}`},
		{"reference, before, first", `{"_reference":{"id":"r"},"y":2,"reference":"#y"}`, `{"y":2}`},
		{"reference, before, alone", `{"_reference":{"id":"r"},"reference":"#y"}`, ``},
		{"reference, before, alone, then more", `{"_reference":{"id":"r"},"reference":"#y","z":3}`, `{"z":3}`},
		{"reference that leaves", `{"_reference":{"id":"r"},"reference":"X/1"}`, `{"_reference":{"id":"r"},"reference":"X/T58-31T"}`},
		{"narrative, behind", `{"text":{"div":"x"},"_text":{"id":"r"},"z":3}`, `{"z":3}`},
		{"narrative, before", `{"_text":{"id":"r"},"text":{"div":"x"},"z":3}`, `{"z":3}`},
		{"a text that leaves", `{"_text":{"id":"r"},"text":"x"}`, `{"_text":{"id":"r"},"text":"x"}`},
		{"both, first one first", `{"_text":{"id":"r"},"_reference":{"id":"s"},"z":3,"text":{"div":"x"},"reference":""}`, `{"z":3}`},
		{"both, second one first", `{"_text":{"id":"r"},"_reference":{"id":"s"},"z":3,"reference":"","text":{"div":"x"}}`, `{"z":3}`},
		{"both, apart", `{"a":1,"_reference":{"id":"s"},"b":2,"_text":{"id":"r"},"text":{},"c":3,"reference":"","d":4}`, `{"a":1,"b":2,"c":3,"d":4}`},
		{"both, of which one leaves", `{"_text":{"id":"r"},"_reference":{"id":"s"},"text":{}}`, `{"_reference":{"id":"s"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := `{"resourceType":"Encounter","a":` + c.want + `,` + tag + `}`
			if c.want == "" {
				want = `{"resourceType":"Encounter",` + tag + `}`
			}
			got := filter(t, plan, strings.NewReader(`{"resourceType":"Encounter","a":`+c.in+`}`), options())
			if string(got.body) != want {
				t.Errorf("got %s (%v)\nwant %s", got.body, got.err, want)
			}
		})
	}
}

// TestKeptReferenceOfItsOwn holds that no row lets a reference's id out, not even one that keeps
// the very member.
func TestKeptReferenceOfItsOwn(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Encounter": {"subject.reference": "keep", "subject.type": "keep", "id": "keep"}}}`).plan
	for in, want := range map[string]string{
		`"subject":{"reference":"Patient/1","type":"Patient"}`: `"subject":{"reference":"Patient/T50617469656e74-31T","type":"Patient"},`,
		`"subject":{"reference":"#1","type":"Patient"}`:        `"subject":{"type":"Patient"},`,
		`"id":["p1"]`: ``,
	} {
		got := filter(t, plan, strings.NewReader(`{"resourceType":"Encounter",`+in+`}`), options())
		if want = `{"resourceType":"Encounter",` + want + tag + `}`; string(got.body) != want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", in, got.body, got.err, want)
		}
	}
}
