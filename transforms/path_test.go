package transforms_test

import (
	"slices"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

func TestElementsIn(t *testing.T) {
	for path, want := range map[string][]string{
		"birthDate":           {"birthDate"},
		"*":                   {""},
		"contact.*":           {"contact"},
		"telecom[use=work].*": {"telecom", "telecom.use"},
		"contact[gender=male].telecom[system='a,b',use=work].value": {"contact.telecom.value", "contact.gender", "contact.telecom.system", "contact.telecom.use"},
		"a..b": nil,
		"a[b":  nil,
		"*.a":  nil,
		"":     nil,
	} {
		if got := transforms.ElementsIn(path); !slices.Equal(got, want) {
			t.Errorf("%s is about %q, want %q", path, got, want)
		}
	}
}
