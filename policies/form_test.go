package policies_test

import (
	"regexp"
	"testing"

	"github.com/halfdoor/halfdoor/policies"
)

// The forms, as expressions.
var forms = []struct {
	name string
	is   func(string) bool
	form *regexp.Regexp
}{
	{"code", policies.IsCode, regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+){0,7}$`)},
	{"purpose", policies.IsPurpose, regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)},
	{"id", policies.IsID, regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)},
	{"name", policies.IsName, regexp.MustCompile(`^[a-z_]{1,32}$`)},
}

func FuzzForms(f *testing.F) {
	for _, s := range []string{
		"", "a", "policy-allowed", "a-b-c-d-e-f-g-h", "a-b-c-d-e-f-g-h-i", "9a", "-a", "a-", "a--b", "A", "a_b", "a.b", "a b", "ä", "p.1", "TREAT", "deny_labels",
		"a\n", "{", "abcdefghijklmnopqrstuvwxyzabcdef", "abcdefghijklmnopqrstuvwxyzabcdefg",
		"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz012",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range forms {
			want := form.form.MatchString(s) && len(s) <= 64
			if got := form.is(s); got != want {
				t.Errorf("%s: %q is %v", form.name, s, got)
			}
		}
	})
}
