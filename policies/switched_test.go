package policies_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/policies"
)

func TestSwitchedOff(t *testing.T) {
	tree := copyOf(t, os.DirFS("testdata/base"))
	tree["halfdoor/switched_off/data.yaml"] = &fstest.MapFile{Data: []byte("clients:\n  acme: A laptop is lost.\ntypes:\n  Communication: Under repair.\n")}
	e := load(t, policies.Options{Bundle: tree})
	if why, off := e.SwitchedOff("client", "acme"); !off || why != "A laptop is lost." {
		t.Errorf("%q %v", why, off)
	}
	if _, off := e.SwitchedOff("type", "acme"); off {
		t.Error("a client's name switched a type off")
	}
	if got, want := e.Switched("type"), map[string]string{"Communication": "Under repair."}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if _, off := load(t, policies.Options{Bundle: os.DirFS("testdata/base")}).SwitchedOff("client", "acme"); off {
		t.Error("a bundle that says nothing switched something off")
	}
	for text, want := range map[string]string{
		"- acme\n":              "must hold a mapping",
		"client: {acme: why}\n": "halfdoor/switched_off/data.yaml:1: data.halfdoor.switched_off.client is no kind",
		"clients: [acme]\n":     "must be a mapping of names",
		"clients: {acme: }\n":   "data.halfdoor.switched_off.clients.acme needs a sentence",
		"clients:\n  acme: 7\n": "data.yaml:2: data.halfdoor.switched_off.clients.acme needs a sentence",
	} {
		tree["halfdoor/switched_off/data.yaml"] = &fstest.MapFile{Data: []byte(text)}
		if _, err := policies.Load(policies.Options{Bundle: tree, Compartment: compartment}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAbsentRefuses(t *testing.T) {
	d, err := load(t, policies.Options{Bundle: policies.Absent()}).Decide(t.Context(), &policies.Input{})
	if err != nil || d.Allow || d.Reason.Code != "policy-missing" {
		t.Errorf("%+v %v", d, err)
	}
}
