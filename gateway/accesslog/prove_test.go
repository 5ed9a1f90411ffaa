package accesslog_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestProveEveryRecord is of every place in trees of several shapes.
func TestProveEveryRecord(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 13} {
		s := newSite(t)
		s.segment = 4096
		s.fill(t, n)
		o := accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier}
		for seq := range n {
			proof, err := accesslog.Prove(t.Context(), o, int64(seq))
			if err != nil {
				t.Fatalf("%d of %d: %v", seq, n, err)
			}
			p, err := accesslog.CheckProof(proof, s.verifier)
			if err != nil || p.Record.Correlation != fmt.Sprint("c", seq) || p.Size != int64(n) || p.Origin != "gateway.example/access" {
				t.Fatalf("%d of %d: %v %v", seq, n, p, err)
			}
		}
		for _, seq := range []int64{-1, int64(n)} {
			if _, err := accesslog.Prove(t.Context(), o, seq); !errors.Is(err, accesslog.ErrRecord) {
				t.Errorf("%d of %d: %v", seq, n, err)
			}
		}
	}
}

func TestProofTampered(t *testing.T) {
	s, other := newSite(t), newSite(t)
	s.fill(t, 9)
	other.fill(t, 9)
	proof, err := accesslog.Prove(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier}, 4)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(proof), "\n")
	record := func(change func([]byte) []byte) string {
		held, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
		if err != nil {
			t.Fatal(err)
		}
		return "extra " + base64.StdEncoding.EncodeToString(change(held))
	}
	for _, c := range []struct {
		name, part string
		line       int
		with       string
	}{
		{"record", "record", 1, record(func(b []byte) []byte { return bytes.Replace(b, []byte("agent-7"), []byte("agent-8"), 1) })},
		{"number", "record", 2, "index 5"},
		{"path", "path", 3, lines[4]},
		{"no hash", "path", 3, "x"},
		{"size", "checkpoint", len(lines) - 6, "8"},
		{"header", "form", 0, "c2sp.org/tlog-proof@v2"},
		{"index", "form", 2, "index 04"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := append([]string{}, lines...)
			if changed[c.line] == c.with {
				t.Fatal("nothing is changed")
			}
			changed[c.line] = c.with
			_, err := accesslog.CheckProof([]byte(strings.Join(changed, "\n")), s.verifier)
			var e *accesslog.ProofError
			if !errors.As(err, &e) || e.Part != c.part {
				t.Errorf("got %v, want %s", err, c.part)
			}
		})
	}
	if _, err := accesslog.CheckProof(proof, other.verifier); !errors.Is(err, accesslog.ErrKey) {
		t.Errorf("another key: %v", err)
	}
	// No prefix and no changed byte passes.
	for i := range proof {
		if _, err := accesslog.CheckProof(proof[:i], s.verifier); err == nil {
			t.Errorf("cut at %d", i)
		}
		flipped := bytes.Clone(proof)
		flipped[i] ^= 1
		if _, err := accesslog.CheckProof(flipped, s.verifier); err == nil {
			t.Errorf("byte %d changed", i)
		}
	}
	// A damaged log is not proven from.
	s.put(t, "000001.jsonl", bytes.Replace(s.get(t, "000001.jsonl"), []byte("agent-7"), []byte("agent-9"), 1))
	_, err = accesslog.Prove(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier}, 4)
	asDamage(t, err)
}
