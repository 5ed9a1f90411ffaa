package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/transforms"
)

var (
	_ transforms.Tokenizer = (*vault.Sealer)(nil)
	_ transforms.Shifter   = (*vault.Sealer)(nil)
	_ transforms.Hasher    = (*vault.Sealer)(nil)
)

func hash(t *testing.T, s *vault.Sealer, kind, value string) string {
	t.Helper()
	h, err := s.AppendHash([]byte("x"), kind, []byte(value))
	if err != nil || h[0] != 'x' {
		t.Fatalf("hash %q as %s: %q, %v", value, kind, h, err)
	}
	return string(h[1:])
}

// TestHash holds that a hash tells two values apart, to one client, and nothing to another.
func TestHash(t *testing.T) {
	v := open(t, "12", "")
	s := sealer(t, v, "clinic", "app", "main")
	first := hash(t, s, "Patient.identifier.value", "12345")
	if again := hash(t, sealer(t, v, "clinic", "app", "main"), "Patient.identifier.value", "12345"); again != first {
		t.Errorf("one value gives %s and %s", first, again)
	}
	if !fhirID.MatchString(first) || !strings.HasPrefix(first, "h2") || len(first) > 24 {
		t.Errorf("%s is no hash of this epoch", first)
	}
	refused(t, s, "Patient.identifier.value", first)
	for name, other := range map[string]string{
		"another value":  hash(t, s, "Patient.identifier.value", "12346"),
		"no value":       hash(t, s, "Patient.identifier.value", ""),
		"another kind":   hash(t, s, "Person.identifier.value", "12345"),
		"another client": hash(t, sealer(t, v, "clinic", "app2", "main"), "Patient.identifier.value", "12345"),
		"another tenant": hash(t, sealer(t, v, "ward", "app", "main"), "Patient.identifier.value", "12345"),
		"another EHR":    hash(t, sealer(t, v, "clinic", "app", "lab"), "Patient.identifier.value", "12345"),
		"another epoch":  hash(t, sealer(t, open(t, "21", ""), "clinic", "app", "main"), "Patient.identifier.value", "12345"),
	} {
		if other[2:] == first[2:] {
			t.Errorf("%s has the same hash", name)
		}
	}
	for kind, value := range map[string]string{"": "x", "a.b": strings.Repeat("x", vault.MaxValue+1)} {
		if h, err := s.AppendHash([]byte("x"), kind, []byte(value)); err == nil || string(h) != "x" {
			t.Errorf("%d bytes as %q: %q, %v", len(value), kind, h, err)
		}
	}
}

func shift(t *testing.T, s *vault.Sealer, patient string) int {
	t.Helper()
	days, err := s.Shift(patient)
	if err != nil || days == 0 || days < -vault.MaxShift || days > vault.MaxShift {
		t.Fatalf("shift of %q: %d, %v", patient, days, err)
	}
	return days
}

// TestShift holds that a patient's dates always move by the same days, and others' by others.
func TestShift(t *testing.T) {
	var (
		v      = open(t, "1", "")
		s      = sealer(t, v, "clinic", "app", "main")
		client = sealer(t, v, "clinic", "app2", "main")
		epoch  = sealer(t, open(t, "12", ""), "clinic", "app", "main")
		tenant = sealer(t, v, "ward", "app", "main")
		ehr    = sealer(t, v, "clinic", "app", "lab")
		key    = sealer(t, open(t, "2", ""), "clinic", "app", "main")
		others = map[string]int{}
		seen   = map[int]bool{}
	)
	const patients = 4000
	for i := range patients {
		id := fmt.Sprint("p", i)
		days := shift(t, s, id)
		seen[days] = true
		if again := shift(t, s, id); again != days {
			t.Fatalf("%s moves by %d and %d", id, days, again)
		}
		if days != shift(t, client, id) || days != shift(t, epoch, id) {
			t.Fatalf("%s moves otherwise for another client or epoch", id)
		}
		for name, other := range map[string]*vault.Sealer{"tenant": tenant, "EHR": ehr, "key": key} {
			if shift(t, other, id) == days {
				others[name]++
			}
		}
	}
	// 360 offsets: by chance, one of 360 is the same.
	for name, same := range others {
		if same > patients/100 {
			t.Errorf("of %d patients, %d move by the same days in another %s", patients, same, name)
		}
	}
	if len(seen) < 350 {
		t.Errorf("%d patients move by %d different offsets only", patients, len(seen))
	}
	for _, id := range []string{"", "a b", strings.Repeat("x", 65)} {
		if days, err := s.Shift(id); err == nil || days != 0 {
			t.Errorf("shift of %q: %d, %v", id, days, err)
		}
	}
}
