package vault_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

var valueSeeds = []string{"", "1", "0", "007", "18446744073709551615", "550e8400-e29b-41d4-a716-446655440000",
	"550E8400-E29B-41D4-A716-446655440000", "erXuFYUfucBZaryVksYEcMg3", "..", "a b", "ä\x00", strings.Repeat("z", 38),
	strings.Repeat("z", 64), strings.Repeat("z", 65)}

// A value that is sealed opens as it was; as an id, its token is a FHIR id.
func FuzzRoundTrip(f *testing.F) {
	v := open(f, "1", f.TempDir())
	for _, seed := range valueSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := sealer(t, v, "", "app", "main")
		if len(value) <= vault.MaxValue {
			opens(t, s, "Patient.identifier.value", seal(t, s, "Patient.identifier.value", value), value)
		}
		token, err := s.AppendToken(nil, "Patient", []byte(value))
		if (err == nil) != fhirID.MatchString(value) {
			t.Fatalf("seal %q: %v", value, err)
		}
		if err != nil {
			return
		}
		if !fhirID.Match(token) {
			t.Fatalf("token of %q is no FHIR id: %q", value, token)
		}
		opens(t, s, "Patient", string(token), value)
	})
}

// A text either is no token, or is the one token of what it opens as.
func FuzzOpen(f *testing.F) {
	v := open(f, "12", f.TempDir())
	s := sealer(f, v, "", "app", "main")
	for _, value := range valueSeeds {
		for _, kind := range []string{"Patient", "Patient.identifier.value"} {
			if kind == "Patient" && !fhirID.MatchString(value) {
				continue
			}
			token := seal(f, s, kind, value)
			opens(f, s, kind, token, value) // the seed loads
			f.Add(kind, token)
		}
	}
	f.Fuzz(func(t *testing.T, kind, token string) {
		s := sealer(t, v, "", "app", "main")
		value, err := s.Open(kind, token)
		if err != nil {
			if err != vault.ErrNotToken {
				t.Fatal(err)
			}
			return
		}
		if again := seal(t, s, kind, value); again != token {
			t.Fatalf("%q and %q open alike", token, again)
		}
	})
}
