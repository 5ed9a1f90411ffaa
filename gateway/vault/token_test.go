package vault_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."

var fhirID = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`) // FHIR R4, section 2.24.0.1

func TestTokenLengths(t *testing.T) {
	s := sealer(t, open(t, "1", t.TempDir()), "", "app", "main")
	for _, c := range []struct {
		name, id string
		prefix   string
		want     int
	}{
		{"one digit", "1", "t1", 36},
		{"zero", "0", "t1", 36},
		{"largest decimal", "9999999999999999999", "t1", 36},
		{"twenty digits", "10000000000000000000", "t1", 45},
		{"leading zero", "007", "t1", 29},
		{"UUID", "550e8400-e29b-41d4-a716-446655440000", "t1", 47},
		{"upper-case UUID", "550E8400-E29B-41D4-A716-446655440000", "t1", 62},
		{"24 characters, as Epic's", "erXuFYUfucBZaryVksYEcMg3", "t1", 50},
		{"one character", "x", "t1", 27},
		{"38 characters", strings.Repeat("Z", 38), "t1", 64},
		{"39 characters", strings.Repeat("Z", 39), "v1", 24},
		{"64 characters", strings.Repeat("Z", 64), "v1", 24},
		{"dots", "..", "t1", 28},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := seal(t, s, "Patient", c.id)
			if len(token) != c.want || token[:2] != c.prefix {
				t.Errorf("token of %d characters: %q is %d, want %d beginning %s", len(c.id), token, len(token), c.want, c.prefix)
			}
			opens(t, s, "Patient", token, c.id)
		})
	}
}

// randomID gives all packings and lengths.
func randomID(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprint(r.Uint64() >> r.IntN(64))
	case 1:
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Uint64()>>16)
	default:
		b := make([]byte, 1+r.IntN(64))
		for i := range b {
			b[i] = idAlphabet[r.IntN(len(idAlphabet))]
		}
		return string(b)
	}
}

// Every FHIR id gives a token that is a FHIR id, the same each time, for every sealer alike, and opens as it was.
func TestRoundTripOfIDs(t *testing.T) {
	v := open(t, "1", t.TempDir())
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]string{}
	for range 400 {
		id := randomID(r)
		token := seal(t, sealer(t, v, "", "app", "main"), "Patient", id)
		if !fhirID.MatchString(token) {
			t.Fatalf("token of %q is no FHIR id: %q", id, token)
		}
		s := sealer(t, v, "", "app", "main")
		opens(t, s, "Patient", token, id)
		if first, again := seal(t, s, "Patient", id), seal(t, s, "Patient", id); first != token || again != token {
			t.Fatalf("tokens of %q differ: %q %q %q", id, token, first, again)
		}
		if other, ok := seen[token]; ok && other != id {
			t.Fatalf("%q and %q have one token", id, other)
		}
		seen[token] = id
	}
}

// Every value of an element, whatever its bytes, opens as it was; its token needs no escape anywhere.
func TestRoundTripOfValues(t *testing.T) {
	s := sealer(t, open(t, "1", ""), "", "app", "main")
	r := rand.New(rand.NewPCG(3, 4))
	plain := regexp.MustCompile(`^t1[A-Za-z0-9]+$`)
	values := []string{"", "\x00", "ä", "E 12/34", "MRN|7", strings.Repeat("A", 64), strings.Repeat("A", 65),
		strings.Repeat("\xff", 1000), strings.Repeat("\x00", 33), strings.Repeat("x", vault.MaxValue)}
	for range 300 {
		b := make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		values = append(values, string(b), randomID(r))
	}
	const kind = "Patient.identifier.value"
	for _, value := range values {
		token := seal(t, s, kind, value)
		if !plain.MatchString(token) {
			t.Fatalf("token of %q is %q", value, token)
		}
		opens(t, s, kind, token, value)
		refused(t, s, "Patient.identifier", token)
		refused(t, s, "Patient", token)
	}
}

func TestWhatCannotBeSealed(t *testing.T) {
	s := sealer(t, open(t, "1", ""), "", "app", "main")
	for _, c := range []struct {
		name, kind, value string
		want              error
	}{
		{"empty id", "Patient", "", vault.ErrNotID},
		{"65 characters", "Patient", strings.Repeat("1", 65), vault.ErrNotID},
		{"space", "Patient", "a b", vault.ErrNotID},
		{"slash", "Patient", "1/_history/2", vault.ErrNotID},
		{"not ASCII", "Patient", "ä", vault.ErrNotID},
		{"no kind", "", "1", vault.ErrNotID},
		{"long id without a folder", "Patient", strings.Repeat("a", 39), vault.ErrNoMapping},
		{"huge value", "Patient.name.text", strings.Repeat("a", vault.MaxValue+1), vault.ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst, err := s.AppendToken([]byte("before"), c.kind, []byte(c.value))
			if err != c.want || string(dst) != "before" {
				t.Errorf("got %q, %v; want nothing appended, %v", dst, err, c.want)
			}
		})
	}
}

// Tokens that clients have stored are those of today: these were sealed by tink's AES-SIV.
func TestTokensStay(t *testing.T) {
	s := sealer(t, open(t, "1", t.TempDir()), "tenant", "app", "main")
	for _, c := range []struct{ kind, value, token string }{
		{"Patient", "1", "t17j6H8AU5rn4ME897vIxTCrdFcDwiKEJwSG"},
		{"Patient", "9999999999999999999", "t13QYaXWOIwj5YGLTVasivudGbHe3lbmNa0D"},
		{"Encounter", "550e8400-e29b-41d4-a716-446655440000", "t1NrO0itxfgXAeArDiOb2BRM0qCuaJFBlu6QsWyJt1TrT2D"},
		{"Patient", "erXuFYUfucBZaryVksYEcMg3", "t1nE3eoseGVJsRNvZhux9JnF7SbfiHH3CxJxorZohtDMZ0YpmD"},
		{"Practitioner", "x", "t11HAyTg1HOcAuae3HkKPS2jU7D"},
		{"Patient", strings.Repeat("Z", 38), "t1EMrG8RaD0g3BTRk5hl68pglereJAKp6UJAoopJXG7yM8ZTI2McUnLQ1lzl9PaQ"},
		{"Patient", strings.Repeat("Z", 39), "v10cW8xG5Bn9ppbVH8FvqWKo"},
		{"Observation", "a-b.c", "t11FpNc9oFRr02u1nMFJ1PLCiwa2f95"},
		{"Patient.identifier.value", "", "t1MvmbGeep0o9zcPu5D8bh4ri"},
		{"Patient.identifier.value", "MRN 12/34", "t1FJpmpJV5ghtiSc7VfkVi16CxFdqE2oFb4bt"},
		{"Patient.identifier.value", "12724066", "t13QSui9pEV7UkkBEIaSpSisLnvBWr9Kj0FI"},
		{"Patient.name.text", strings.Repeat("long ", 20), "t1Ji495qPblBMI9YodtTaPxkI7gsHeHmqBUZPbpBmtBvavVX74FzgupJZhjyn2Fyp52rMfEu2" +
			"ZQWbCYOIXLXDDywXQczOECnEZ2zXBI0TFWRw3d5yi1WkxL1qW9rGemxS0R1V8NpZVqvSUvrtJDvVBfdzJshPogb"},
	} {
		if got := seal(t, s, c.kind, c.value); got != c.token {
			t.Errorf("%s %q: token %s, and was %s", c.kind, c.value, got, c.token)
		}
		opens(t, s, c.kind, c.token, c.value)
	}
}

// Tenant, client, EHR and kind each make another token, and none opens where one of them differs. Names that run
// together (tenant "a", client "bc"; tenant "ab", client "c") are kept apart.
func TestStrangersCannotOpen(t *testing.T) {
	v := open(t, "1", t.TempDir())
	type place struct{ tenant, client, ehr, kind string }
	places := []place{
		{"t", "app", "main", "Patient"},
		{"t2", "app", "main", "Patient"},
		{"", "tapp", "main", "Patient"},
		{"ta", "pp", "main", "Patient"},
		{"t", "app2", "main", "Patient"},
		{"t", "app", "other", "Patient"},
		{"t", "app", "mainP", "atient"},
		{"t", "app", "main", "Person"},
		{"t", "app", "main", "Patient.identifier.value"},
		{"t", "app", "main", "Patient.id"},
	}
	for _, id := range []string{"1", "550e8400-e29b-41d4-a716-446655440000", "erXuFYUfucBZaryVksYEcMg3", strings.Repeat("x", 50)} {
		tokens := map[string]place{}
		for _, p := range places {
			token := seal(t, sealer(t, v, p.tenant, p.client, p.ehr), p.kind, id)
			if q, ok := tokens[token]; ok {
				t.Fatalf("%v and %v share the token %q of %q", p, q, token, id)
			}
			tokens[token] = p
		}
		for token, p := range tokens {
			for _, q := range places {
				s := sealer(t, v, q.tenant, q.client, q.ehr)
				if p == q {
					opens(t, s, q.kind, token, id)
				} else {
					refused(t, s, q.kind, token)
				}
			}
		}
	}
}

// No character of a token can be changed, added or left out.
func TestEveryMutationIsRefused(t *testing.T) {
	s := sealer(t, open(t, "12", t.TempDir()), "", "app", "main")
	const others = idAlphabet + "_=+/ \x00\xff"
	for _, id := range []string{"1", "42", "550e8400-e29b-41d4-a716-446655440000", "erXuFYUfucBZaryVksYEcMg3",
		strings.Repeat("Z", 38), strings.Repeat("Z", 39)} {
		token := seal(t, s, "Patient", id)
		for i := range len(token) {
			refused(t, s, "Patient", token[:i])
			refused(t, s, "Patient", token[:i]+token[i+1:])
			for j := range len(others) {
				c := others[j : j+1]
				refused(t, s, "Patient", token[:i]+c+token[i:])
				if c != token[i:i+1] {
					refused(t, s, "Patient", token[:i]+c+token[i+1:])
				}
			}
		}
		refused(t, s, "Patient", token+token)
		opens(t, s, "Patient", token, id)
	}
	for _, text := range []string{"", "t", "t1", "t10", "v1", "Patient/1", strings.Repeat("t", 1<<20), "t1" + strings.Repeat("z", 62)} {
		refused(t, s, "Patient", text)
		refused(t, s, "Patient.identifier.value", text)
		refused(t, s, "", text)
	}
}

func TestEpochs(t *testing.T) {
	dir := t.TempDir()
	ids := []string{"1", "550e8400-e29b-41d4-a716-446655440000", strings.Repeat("x", 50)}
	old := map[string]string{}
	v := open(t, "1", dir)
	for _, id := range ids {
		old[id] = seal(t, sealer(t, v, "", "app", "main"), "Patient", id)
	}
	link, err := sealer(t, v, "", "app", "main").SealLink([]byte("page"), "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}

	v = open(t, "12", dir)
	s := sealer(t, v, "", "app", "main")
	for _, id := range ids {
		token := seal(t, s, "Patient", id)
		if token[1] != '2' {
			t.Errorf("a new token is of epoch %c", token[1])
		}
		opens(t, s, "Patient", token, id)
		opens(t, s, "Patient", old[id], id)
		refused(t, s, "Patient", old[id][:1]+"2"+old[id][2:])
		refused(t, s, "Patient", token[:1]+"1"+token[2:])
	}
	if plain, err := s.OpenLink(link, "b"); err != nil || string(plain) != "page" {
		t.Errorf("an old link gives %q, %v", plain, err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}

	s = sealer(t, open(t, "2", dir), "", "app", "main")
	for _, id := range ids {
		refused(t, s, "Patient", old[id])
	}
	if _, err := s.OpenLink(link, "b"); err != vault.ErrNotLink {
		t.Errorf("a link of a removed epoch gives %v", err)
	}
}

// What a sealer remembers is bounded, in number and in bytes, and beyond it tokens are the same as ever.
func TestMemoIsBounded(t *testing.T) {
	v := open(t, "1", "")
	s := sealer(t, v, "", "app", "main")
	most := 0
	for i := range vault.MemoEntries + 100 {
		seal(t, s, "Patient", fmt.Sprint(i))
		most = max(most, s.Remembered())
	}
	seal(t, s, "Patient.name.text", strings.Repeat("long", 100))
	if n := s.Remembered(); most != vault.MemoEntries || n != 100 {
		t.Errorf("remembers %d and in the end %d, want %d and 100", most, n, vault.MemoEntries)
	}
	for i := range vault.MemoEntries {
		seal(t, s, "Patient.name.text", fmt.Sprintf("%*d", vault.MemoValue, i))
		if most = len(s.Text()); most > vault.MemoText {
			t.Fatalf("remembers %d bytes", most)
		}
	}
	if n := s.Remembered(); n == vault.MemoEntries {
		t.Error("the bytes never came to their bound")
	}
	last := fmt.Sprint(vault.MemoEntries + 99)
	if a, b := seal(t, s, "Patient", last), seal(t, sealer(t, v, "", "app", "main"), "Patient", last); a != b {
		t.Errorf("tokens differ: %q %q", a, b)
	}
	// Kind and value do not run together in the memory.
	if seal(t, s, "Patient.a", "bc") == seal(t, s, "Patient.ab", "c") {
		t.Error("kind and value run together")
	}
}

// More kinds than are remembered, values at the edge of what is, and values of one text in many kinds: each token is
// what a sealer gives that remembers nothing.
func TestMemoIsNotSeen(t *testing.T) {
	v := open(t, "1", t.TempDir())
	s := sealer(t, v, "", "app", "main")
	r := rand.New(rand.NewPCG(9, 10))
	type value struct{ kind, text string }
	want := map[value]string{}
	check := func(one value) {
		t.Helper()
		if want[one] == "" {
			want[one] = seal(t, sealer(t, v, "", "app", "main"), one.kind, one.text)
		}
		if got := seal(t, s, one.kind, one.text); got != want[one] {
			t.Fatalf("%s %q: %s, want %s", one.kind, one.text, got, want[one])
		}
	}
	for range 20000 {
		one := value{fmt.Sprintf("Kind%d", r.IntN(2*vault.MemoKinds)), fmt.Sprint(r.IntN(50))}
		if r.IntN(4) == 0 {
			one = value{one.kind + ".element", strings.Repeat("?", vault.MemoValue-2+r.IntN(5))}
		}
		check(one)
	}
	for range 2 { // a table that grows to its end
		for i := range vault.MemoEntries + 100 {
			check(value{"Patient", fmt.Sprint(i)})
		}
	}
}

// TestRelease has one sealer use the memory of another: nothing of what that one remembered is there, and the tokens
// are the same.
func TestRelease(t *testing.T) {
	v := open(t, "1", "")
	first := sealer(t, v, "t", "c", "main")
	want := map[string]string{}
	for i := range 300 { // the table grows several times
		id := fmt.Sprintf("patient-%d", i)
		want[id] = seal(t, first, "Patient", id)
	}
	for id, token := range want {
		if again := seal(t, first, "Patient", id); again != token {
			t.Fatalf("%s: %s, and before %s", id, again, token)
		}
	}
	opens(t, first, "Patient", want["patient-7"], "patient-7")
	kept := first.Kept()
	if text := kept(); !strings.Contains(text, "patient-7") || !strings.Contains(text, want["patient-7"]) || !strings.Contains(text, "Patient") {
		t.Fatal("nothing is remembered")
	}
	first.Release()
	first.Release() // of nothing
	if text := kept(); first.Remembered() != 0 || strings.Trim(text, "\x000[]{} -") != "" {
		t.Errorf("%d tokens, %q", first.Remembered(), text)
	}
	second := sealer(t, v, "t", "other", "main")
	for id, token := range want {
		if got := seal(t, second, "Patient", id); got == token {
			t.Fatalf("%s: another client's token", id)
		}
	}
	for id, token := range want { // a sealer that was released begins anew
		if got := seal(t, first, "Patient", id); got != token {
			t.Fatalf("%s: %s, and before %s", id, got, token)
		}
	}
}

// Sealers of many clients at once hand their memory to one another, and no client ever gets another's token.
func TestReleasedMemoryIsNobodys(t *testing.T) {
	const clients, ids = 8, 40
	v := open(t, "1", "")
	var want [clients][ids]string
	owner := map[string]int{}
	for c := range want {
		s := sealer(t, v, "t", fmt.Sprint("client-", c), "main")
		for i := range want[c] {
			want[c][i] = seal(t, s, "Patient", fmt.Sprint(i))
			owner[want[c][i]] = c
		}
	}
	if len(owner) != clients*ids {
		t.Fatalf("%d tokens of %d", len(owner), clients*ids)
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(13, uint64(w)))
			for range 300 {
				c := r.IntN(clients)
				s, err := v.Sealer("t", fmt.Sprint("client-", c), "main")
				if err != nil {
					t.Error(err)
					return
				}
				for range ids {
					i := r.IntN(ids)
					token, err := s.AppendToken(nil, "Patient", fmt.Append(nil, i))
					if err != nil || string(token) != want[c][i] {
						t.Errorf("%d of client %d: %s (client %d's), %v; want %s", i, c, token, owner[string(token)], err, want[c][i])
						return
					}
				}
				if id, err := s.Open("Patient", want[c][0]); err != nil || id != "0" {
					t.Errorf("opened as %q, %v", id, err)
				}
				if _, err := s.Open("Patient", want[(c+1)%clients][0]); err != vault.ErrNotToken {
					t.Errorf("another client's token: %v", err)
				}
				s.Release()
			}
		})
	}
	all.Wait()
}
