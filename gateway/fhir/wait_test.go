package fhir_test

import (
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// TestWait reads for how long a client waits; what is not of the preference's form is passed over.
func TestWait(t *testing.T) {
	const day = 24 * 60 * 60
	for _, c := range []struct {
		name   string
		prefer []string
		want   int
		said   bool
	}{
		{"no header", nil, 0, false},
		{"other preferences", []string{"return=minimal, handling=lenient"}, 0, false},
		{"seconds", []string{"wait=10"}, 10, true},
		{"among others", []string{"return=minimal, WAIT = 7 ; x=y", "handling=lenient"}, 7, true},
		{"in another line", []string{"handling=lenient", "wait=3"}, 3, true},
		{"the first counts", []string{"wait=3, wait=9"}, 3, true},
		{"quoted", []string{`wait="5"`}, 5, true},
		{"not at all", []string{"wait=0"}, 0, true},
		{"long", []string{"wait=86401"}, day, true},
		{"longer than a number", []string{"wait=99999999999999999999999"}, day, true},
		{"no value", []string{"wait"}, 0, false},
		{"negative", []string{"wait=-1"}, 0, false},
		{"with a unit", []string{"wait=10s"}, 0, false},
		{"a fraction", []string{"wait=1.5"}, 0, false},
		{"a list", []string{"wait=1 2"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, said := fhir.Wait(map[string][]string{"prefer": c.prefer}); got != c.want || said != c.said {
				t.Errorf("%d, %t; want %d, %t", got, said, c.want, c.said)
			}
		})
	}
}
