package smart_test

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

// A resource is covered where it meets all parameters of one scope, and the patient's scopes cover the patient's alone.
func TestFloorCovers(t *testing.T) {
	const observation = `{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/7"},
		"category":[{"coding":[{"system":"http://c","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"1-1"}]}}`
	for _, c := range []struct {
		name, scopes string
		want         bool
	}{
		{"one", "user/Observation.r?category=laboratory", true},
		{"with its system", "user/Observation.r?category=http://c|laboratory", true},
		{"another system", "user/Observation.r?category=http://d|laboratory", false},
		{"another", "user/Observation.r?category=vital-signs", false},
		{"one of two", "user/Observation.r?category=vital-signs user/Observation.r?code=1-1", true},
		{"none of two", "user/Observation.r?category=vital-signs user/Observation.r?code=1-2", false},
		{"both of a scope", "user/Observation.r?category=laboratory&code=1-1", true},
		{"half of a scope", "user/Observation.r?category=laboratory&code=1-2", false},
		{"halves of two scopes", "user/Observation.r?category=laboratory&code=1-2 user/Observation.r?category=vital-signs&code=1-1", false},
		{"a list", "user/Observation.r?category=vital-signs,laboratory", true},
		{"a reference", "user/Observation.r?subject=Patient/7", true},
		{"a reference to another", "user/Observation.r?subject=Patient/8", false},
		{"beside one that cannot be checked", "user/Observation.r?date=ge1900 user/Observation.r?code=1-2", false},
		{"the patient's", "user/Observation.r?code=1-2 patient/Observation.r?category=laboratory", true},
		{"the patient's, of a wildcard", "user/*.r?_tag=x patient/*.r?_id=1 patient/Observation.r?code=1-1", true},
		{"another patient's", "user/Observation.r?code=1-2 patient/Observation.r?category=laboratory", false},
		{"every one", "user/Observation.r", true},
	} {
		patient := "7"
		if c.name == "another patient's" {
			patient = "8"
		}
		floor, err := smart.Permit(&smart.Grant{Scopes: smart.ParseScopes(c.scopes), Patient: patient}, read("Observation"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := floor.Covers("Observation", gjson.Parse(observation), nil); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	several := &fhir.Request{Interaction: fhir.SearchSystem, Types: []string{"Observation", "Slot"}}
	floor, err := smart.Permit(&smart.Grant{Scopes: smart.ParseScopes("user/*.s?_tag=a")}, several)
	if err != nil || floor.Covers("Slot", gjson.Parse(`{"meta":{"tag":[{"code":"b"}]}}`), nil) || !floor.Covers("Slot", gjson.Parse(`{"meta":{"tag":[{"code":"a"}]}}`), nil) {
		t.Errorf("several types: %v", err)
	}
}
