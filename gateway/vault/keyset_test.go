package vault_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

func TestNewKeyset(t *testing.T) {
	doc, err := vault.NewKeyset(rand.Reader, now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(vault.Options{Keyset: doc, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	s := sealer(t, v, "", "app", "main")
	opens(t, s, "Patient", seal(t, s, "Patient", "1"), "1")
	other, err := vault.NewKeyset(rand.Reader, now)
	if err != nil || bytes.Equal(doc, other) {
		t.Errorf("two keysets are alike, %v", err)
	}
	if _, err := vault.NewKeyset(strings.NewReader("short"), now); err == nil {
		t.Error("a source that ends gives a keyset")
	}
}

var (
	keyA = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("A"), 32))
	keyB = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("B"), 32))
)

func entry(epoch, key, created, status string) string {
	return `{"epoch":"` + epoch + `","key":"` + key + `","created":"` + created + `","status":"` + status + `"}`
}

const day = "2026-01-31T00:00:00Z"

var keysetSeeds = []struct {
	name, in string
	want     []string // each problem; none: a good keyset
}{
	{"good", `{"version":1,"keys":[` + entry("1", keyA, day, "enabled") + `,` + entry("2", keyB, day, "primary") + `]}`, nil},
	{"clock a little off", `{"version":1,"keys":[` + entry("1", keyA, "2026-05-02T11:00:00Z", "primary") + `]}`, nil},
	{"empty", ``, []string{"not valid JSON at byte 0"}},
	{"a bare key", keyA, []string{"not valid JSON at byte 0"}},
	{"cut", `{"version":1,"keys":[`, []string{"not valid JSON at byte 21"}},
	{"trailing", `{"version":1,"keys":[` + entry("1", keyA, day, "primary") + `]} x`, []string{"not valid JSON at byte 142"}},
	{"member twice", `{"version":1,"version":1,"keys":[` + entry("1", keyA, day, "primary") + `]}`, []string{"not valid JSON at byte 13"}},
	{"unknown member", `{"version":1,"` + keyB + `":1,"keys":[` + entry("1", keyA, day, "primary") + `]}`, []string{"unknown member or wrong type of value near byte 13"}},
	{"key a number", `{"version":1,"keys":[{"key":12345}]}`, []string{"unknown member or wrong type of value near byte 28"}},
	{"no members", `{}`, []string{"version is 0, and must be 1", "has no keys", "has 0 primary keys, and must have one"}},
	{"no primary", `{"version":1,"keys":[` + entry("1", keyA, day, "enabled") + `]}`, []string{"has 0 primary keys, and must have one"}},
	{"two primaries", `{"version":1,"keys":[` + entry("1", keyA, day, "primary") + `,` + entry("2", keyB, day, "primary") + `]}`, []string{"has 2 primary keys, and must have one"}},
	{"everything at once", `{"version":2,"keys":[` + strings.Join([]string{
		entry("", keyA, day, "primary"), entry("12", "", day, "enabled"), entry("-", keyB, "yesterday", "Primary"),
		entry("3", keyA, "2027-01-01T00:00:00Z", ""), entry("3", base64.StdEncoding.EncodeToString(make([]byte, 32)), day, "disabled"),
		entry("4", base64.StdEncoding.EncodeToString(make([]byte, 31)), day, "enabled"),
		entry("5", keyB[:len(keyB)-2]+"J=", day, "enabled"), // set bits after the last byte
	}, ",") + `]}`, []string{
		"version is 2, and must be 1",
		"keys[0]: epoch must be one letter or digit",
		"keys[1]: epoch must be one letter or digit",
		"keys[1]: key must be 32 bytes in base64",
		"keys[2]: epoch must be one letter or digit",
		"keys[2]: created must be a time like 2026-01-31T00:00:00Z",
		`keys[2]: status must be "primary" or "enabled"`,
		"keys[3]: same key as keys[0]",
		"keys[3]: created lies in the future",
		`keys[3]: status must be "primary" or "enabled"`,
		`keys[4]: epoch "3" is given twice`,
		"keys[4]: key is all zero",
		`keys[4]: status must be "primary" or "enabled"`,
		"keys[5]: key must be 32 bytes in base64",
		"keys[6]: key must be 32 bytes in base64",
	}},
	{"huge", `{"version":1` + strings.Repeat(" ", 64<<10) + `}`, []string{"longer than 65536 bytes"}},
}

func TestKeysets(t *testing.T) {
	for _, c := range keysetSeeds {
		t.Run(c.name, func(t *testing.T) {
			_, err := vault.Open(vault.Options{Keyset: []byte(c.in), Now: clock})
			var want []string
			for _, w := range c.want {
				want = append(want, "vault: keyset: "+w)
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

// No keyset makes a panic, and no error quotes one.
func FuzzKeyset(f *testing.F) {
	for _, c := range keysetSeeds {
		if _, err := vault.Open(vault.Options{Keyset: []byte(c.in), Now: clock}); (err == nil) != (c.want == nil) {
			f.Fatalf("seed %s: %v", c.name, err)
		}
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := vault.Open(vault.Options{Keyset: doc, Now: func() time.Time { return now }})
		if err == nil {
			s := sealer(t, v, "", "app", "main")
			opens(t, s, "Patient", seal(t, s, "Patient", "1"), "1")
			return
		}
		for _, key := range []string{keyA, keyB} {
			if strings.Contains(err.Error(), key) {
				t.Fatalf("an error quotes a key: %v", err)
			}
		}
		if errors.Is(err, vault.ErrLocked) {
			t.Fatal(err)
		}
	})
}
