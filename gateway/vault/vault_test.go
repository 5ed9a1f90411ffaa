package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// keyset is a keyset file of these epochs, the last one primary. An epoch has the same key in every one.
func keyset(epochs string) []byte {
	var keys []string
	for i, e := range epochs {
		status := "enabled"
		if i == len(epochs)-1 {
			status = "primary"
		}
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(e)}, 32))
		keys = append(keys, fmt.Sprintf(`{"epoch":%q,"key":%q,"created":"2026-01-31T00:00:00Z","status":%q}`, string(e), key, status))
	}
	return []byte(`{"version":1,"keys":[` + strings.Join(keys, ",") + `]}`)
}

func open(t testing.TB, epochs, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.Options{Keyset: keyset(epochs), Dir: dir, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func sealer(t testing.TB, v *vault.Vault, tenant, client, ehr string) *vault.Sealer {
	t.Helper()
	s, err := v.Sealer(tenant, client, ehr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *vault.Sealer, kind, value string) string {
	t.Helper()
	token, err := s.AppendToken(nil, kind, []byte(value))
	if err != nil {
		t.Fatalf("seal %q as %s: %v", value, kind, err)
	}
	return string(token)
}

// opens asserts that a token gives a value back.
func opens(t testing.TB, s *vault.Sealer, kind, token, want string) {
	t.Helper()
	got, err := s.Open(kind, token)
	if err != nil || got != want {
		t.Fatalf("open %q as %s: got %q, %v; want %q", token, kind, got, err, want)
	}
}

// refused asserts that a text is no token.
func refused(t testing.TB, s *vault.Sealer, kind, token string) {
	t.Helper()
	if got, err := s.Open(kind, token); err != vault.ErrNotToken || got != "" {
		t.Fatalf("open %q as %s: got %q, %v; want ErrNotToken itself", token, kind, got, err)
	}
}

func TestSealerNeedsNames(t *testing.T) {
	v := open(t, "1", "")
	if _, err := v.Sealer("", "", "main"); err == nil {
		t.Error("no client: no error")
	}
	if _, err := v.Sealer("", "app", ""); err == nil {
		t.Error("no EHR: no error")
	}
	sealer(t, v, "", "app", "main")
}

// Nothing prints a key: not a vault, not a sealer, by any verb, nor as JSON.
func TestNothingPrintsAKey(t *testing.T) {
	v := open(t, "K", "")
	s := sealer(t, v, "", "app", "main")
	seal(t, s, "Patient", "1")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		out := fmt.Sprintf(verb+verb, v, s)
		if out != "vault [redacted]sealer [redacted]" {
			t.Errorf("%s prints %q", verb, out)
		}
	}
	for _, a := range []any{v, s} {
		if out, err := json.Marshal(a); err != nil || string(out) != "{}" {
			t.Errorf("JSON is %s, %v", out, err)
		}
	}
}

// The keys of clients are remembered up to a bound, and a forgotten client's tokens are the same.
func TestClientCacheIsBounded(t *testing.T) {
	v := open(t, "1", "")
	first := seal(t, sealer(t, v, "t", "client-0", "main"), "Patient", "1")
	for i := range vault.MaxClients + 10 {
		sealer(t, v, "t", fmt.Sprintf("client-%d", i), "main")
	}
	if n := v.Remembered(); n != vault.MaxClients {
		t.Errorf("remembers %d clients, want %d", n, vault.MaxClients)
	}
	if again := seal(t, sealer(t, v, "t", "client-0", "main"), "Patient", "1"); again != first {
		t.Errorf("a forgotten client's token is %q, was %q", again, first)
	}
}
