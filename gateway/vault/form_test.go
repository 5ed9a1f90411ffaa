package vault_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

// TestFormed says of every token that it may be one, and of what people have for ids that it is none.
func TestFormed(t *testing.T) {
	s := sealer(t, open(t, "1", t.TempDir()), "", "app", "main")
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		id := randomID(r)
		token := seal(t, s, "Patient", id)
		if !vault.Formed(token) {
			t.Fatalf("the token %q of %q has no form", token, id)
		}
	}
	for _, text := range []string{
		"", "t", "t1", "1", "12345", "MRN-100000", "123-45-6789", "John.Smith", "Quillfeather", "t1Quillfeather", "tom", "v1Quillfeather",
		"62f6b452-c080-41cd-94a2-31c613bf2286", "erXuFYUfucBZaryVksYEcMg3", "tXuFYUfucBZaryVksYEcMg3", "x" + seal(t, s, "Patient", "1")[1:],
		"t-" + seal(t, s, "Patient", "1")[2:], seal(t, s, "Patient", "1") + strings.Repeat("0", 30), "v1" + strings.Repeat("z", 22),
	} {
		if vault.Formed(text) {
			t.Errorf("%q has the form of a token", text)
		}
	}
}
