package policies_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/policies"
)

// The document that a policy is given has the fields of its schema, no more and no less, of the types it says.
func TestInputMatchesSchema(t *testing.T) {
	content, err := fs.ReadFile(policies.Default(), "schemas/input.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]*policies.Input{"call": call(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			var doc any
			if err := json.Unmarshal(policies.InputJSON(t, in), &doc); err != nil {
				t.Fatal(err)
			}
			matches(t, "input", schema, doc)
		})
	}
}

func matches(t *testing.T, path string, schema, doc any) {
	t.Helper()
	s := schema.(map[string]any)
	switch s["type"] {
	case "object":
		properties := s["properties"].(map[string]any)
		object, ok := doc.(map[string]any)
		if !ok {
			t.Errorf("%s is %T", path, doc)
			return
		}
		want, got := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(object))
		var required []string
		for _, r := range s["required"].([]any) {
			required = append(required, r.(string))
		}
		slices.Sort(required)
		if !slices.Equal(got, want) || !slices.Equal(required, want) || s["additionalProperties"] != false {
			t.Errorf("%s has %v, its schema %v, of which required %v", path, got, want, required)
			return
		}
		for _, name := range want {
			matches(t, path+"."+name, properties[name], object[name])
		}
	case "array":
		for _, element := range doc.([]any) {
			matches(t, path+"[]", s["items"], element)
		}
	case "string":
		if _, ok := doc.(string); !ok {
			t.Errorf("%s is %T", path, doc)
		}
	case "boolean":
		if _, ok := doc.(bool); !ok {
			t.Errorf("%s is %T", path, doc)
		}
	case "integer":
		if _, ok := doc.(float64); !ok {
			t.Errorf("%s is %T", path, doc)
		}
	default:
		t.Errorf("%s: type %v", path, s["type"])
	}
	if values, ok := s["enum"].([]any); ok && path != "input.time.weekday" && !slices.Contains(values, doc) {
		t.Errorf("%s is %v, not of %v", path, doc, values)
	}
}

func TestInputValues(t *testing.T) {
	in := &policies.Input{
		Version: 1,
		Caller: policies.Caller{
			Subject: "s", Issuer: "i", Client: "c", Roles: []string{"r1", "r2"}, FHIRUser: "Practitioner/1", Binding: "dpop",
		},
		Ticket:  policies.Ticket{ID: "t", Category: "tc"},
		Purpose: "TREAT",
		Request: policies.Request{Interaction: "search-type", Type: "Slot", HasID: true, Parameters: []string{"start", "status"},
			Includes: []string{"_include=Slot:schedule"}, Operation: "match", Entries: 3},
		Context: policies.Context{Patient: "p", Encounter: "e", EHR: "main", Tenant: "north"},
		Network: policies.Network{Source: "192.0.2.1"},
		Time:    policies.Time{Weekday: "monday", Hour: 23},

		BreakGlass: policies.BreakGlass{Reason: "records-down"},
	}
	const want = `{
		"version": 1,
		"caller": {"subject": "s", "issuer": "i", "client": "c", "roles": ["r1", "r2"], "fhir_user": "Practitioner/1", "binding": "dpop"},
		"ticket": {"id": "t", "category": "tc"},
		"purpose": "TREAT",
		"request": {"interaction": "search-type", "type": "Slot", "has_id": true, "parameters": ["start", "status"],
			"includes": ["_include=Slot:schedule"], "operation": "match", "entries": 3},
		"context": {"patient": "p", "encounter": "e", "ehr": "main", "tenant": "north"},
		"network": {"source": "192.0.2.1"},
		"time": {"weekday": "monday", "hour": 23},
		"break_glass": {"reason": "records-down"}
	}`
	var got, wanted any
	if err := json.Unmarshal(policies.InputJSON(t, in), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got %v, want %v", got, wanted)
	}
}

func TestClock(t *testing.T) {
	berlin := time.FixedZone("CEST", 2*60*60)
	at := time.Date(2024, 6, 2, 22, 59, 0, 0, time.UTC) // a Sunday
	if got, want := policies.Clock(at), (policies.Time{Weekday: "sunday", Hour: 22}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := policies.Clock(at.In(berlin)), (policies.Time{Weekday: "monday", Hour: 0}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
