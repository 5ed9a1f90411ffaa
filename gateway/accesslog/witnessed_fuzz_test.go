package accesslog_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// FuzzParseCosigner: what is taken for a witness's key is one in its only spelling, and no key that signs logs.
func FuzzParseCosigner(f *testing.F) {
	_, log, err := accesslog.GenerateKey("gateway.example/audit")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log)
	for _, good := range []string{
		"witness.example/w1+1eadf073+BFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc",
		" witness.example/w1+1EADF073+BFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc\n",
	} {
		if _, err := accesslog.ParseCosigner(good); err != nil {
			f.Fatalf("the seed %q: %v", good, err)
		}
		f.Add(good)
		f.Add(strings.Replace(good, "w1", "w2", 1))
		f.Add(strings.Replace(good, "+B", "+A", 1))
		f.Add(strings.TrimSpace(good) + "=")
	}
	f.Add("a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{6}, make([]byte, 1312)...))) // ML-DSA-44
	f.Add("++")
	f.Fuzz(func(t *testing.T, vkey string) {
		c, err := accesslog.ParseCosigner(vkey)
		if err != nil {
			return
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(vkey), "+")
		hash, key, _ := strings.Cut(rest, "+")
		if c.Name() != name || !strings.EqualFold(fmt.Sprintf("%08x", c.KeyHash()), hash) {
			t.Fatalf("%q is %s %08x", vkey, c.Name(), c.KeyHash())
		}
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || base64.StdEncoding.EncodeToString(raw) != key || len(raw) != 33 || raw[0] != 4 {
			t.Fatalf("%q", key)
		}
		if _, err := note.NewVerifier(strings.TrimSpace(vkey)); err == nil {
			t.Fatal("it is a log's key as well")
		}
		if c.Verify([]byte("x"), make([]byte, 72)) {
			t.Fatal("no signature passes for one")
		}
	})
}

// FuzzWitnessed: whatever is in the file, a witness has cosigned its text, of this log and of the size in its name, or nothing.
func FuzzWitnessed(f *testing.F) {
	s := newSite(f)
	l := s.open(f)
	c, other := newCosigner(f, "witness.example"), newCosigner(f, "witness.example")
	appendN(f, l, 0, 3)
	size, message := c.sign(f, l)
	origin := l.Origin()
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	s.put(f, "witnessed.3", message)
	if w, err := accesslog.Witnessed(s.dir, origin, c.Cosigner); err != nil || w == nil || w.Size != size {
		f.Fatalf("the seed: %+v, %v", w, err)
	}
	f.Add(message)
	f.Add(message[:len(message)-3])
	f.Add([]byte(strings.Replace(string(message), "\n3\n", "\n2\n", 1)))
	f.Add([]byte(strings.ReplaceAll(string(message), "\n", "\r\n")))
	f.Add(append(message, message...))
	f.Fuzz(func(t *testing.T, content []byte) {
		s.put(t, "witnessed.3", content)
		if w, err := accesslog.Witnessed(s.dir, origin, other.Cosigner); w != nil {
			t.Fatalf("by a key that signed nothing: %+v, %v", w, err)
		}
		w, err := accesslog.Witnessed(s.dir, origin, c.Cosigner)
		if err != nil {
			if d := asDamage(t, err); d.File != "witnessed.3" {
				t.Fatalf("%+v", d)
			}
			return
		}
		if w != nil && (w.Size != 3 || !strings.HasPrefix(string(content), origin+"\n3\n")) {
			t.Fatalf("%+v from %q", w, content)
		}
	})
}
