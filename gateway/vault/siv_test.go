package vault_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func siv(t testing.TB, key, ad []byte) vault.SIV {
	t.Helper()
	s, err := vault.NewSIV(key, ad)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tink is what tokens were sealed by at first.
func tink(t testing.TB, key []byte) *subtle.AESSIV {
	t.Helper()
	s, err := subtle.NewAESSIV(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// RFC 5297, appendix A.1.
func TestSIVOfTheRFC(t *testing.T) {
	s := siv(t, unhex(t, "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
		unhex(t, "101112131415161718191a1b1c1d1e1f2021222324252627"))
	plain := unhex(t, "112233445566778899aabbccddee")
	sealed := unhex(t, "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c")
	if got := s.Seal(nil, plain); !bytes.Equal(got, sealed) {
		t.Errorf("sealed: %x, want %x", got, sealed)
	}
	if got, ok := s.Open(nil, sealed); !ok || !bytes.Equal(got, plain) {
		t.Errorf("opened: %x, %v; want %x", got, ok, plain)
	}
}

func TestKeysOfSIV(t *testing.T) {
	for n := range 130 {
		if _, err := vault.NewSIV(make([]byte, n), nil); (err == nil) != (n == 32 || n == 64) {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
}

// random gives bytes of which some are all zero and some all one, so that carries come up.
func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	switch r.IntN(8) {
	case 0:
	case 1:
		for i := range b {
			b[i] = 0xff
		}
	default:
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

// agrees holds that both seal alike, that each opens what the other sealed, and that neither opens anything else.
func agrees(t testing.TB, key, ad, plain []byte) {
	t.Helper()
	s, other := siv(t, key, ad), tink(t, key)
	want, err := other.EncryptDeterministically(plain, ad)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(plain)
	sealed := s.Seal([]byte("before"), plain)
	if !bytes.Equal(sealed, append([]byte("before"), want...)) {
		t.Fatalf("%x with %x: sealed %x, want %x", plain, ad, sealed[6:], want)
	}
	if !bytes.Equal(kept, plain) {
		t.Fatal("the plain text was written to")
	}
	opened, ok := s.Open([]byte("before"), want)
	if !ok || !bytes.Equal(opened, append([]byte("before"), plain...)) {
		t.Fatalf("%x with %x: opened as %x, %v", plain, ad, opened, ok)
	}
	for _, i := range []int{0, 8, 15, len(want) / 2, len(want) - 1} { // bits 63 and 31 of the IV are no part of CTR's
		for bit := range 8 {
			broken := bytes.Clone(want)
			broken[i] ^= 1 << bit
			room := make([]byte, 0, 2*len(want)+64)
			if got, ok := s.Open(room, broken); ok || len(got) != 0 {
				t.Fatalf("%x with bit %d of byte %d turned is opened", want, bit, i)
			}
			if bytes.ContainsFunc(room[:cap(room)], func(r rune) bool { return r != 0 }) {
				t.Fatal("what was not opened is left in memory")
			}
		}
	}
	if _, ok := siv(t, key, append(bytes.Clone(ad), 0)).Open(nil, want); ok {
		t.Fatal("opened with another associated data")
	}
}

// Every length around a block and to 64 of the text, with each of the associated data: tokens sealed by tink keep
// opening, and new ones are the same.
func TestSIVAgreesWithTink(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := range 65 {
		for m := range 65 {
			agrees(t, random(r, 64), random(r, m), random(r, n))
		}
	}
	for _, n := range []int{127, 128, 129, 255, 256, 257, 4095, 4096, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<20 + 7} {
		agrees(t, random(r, 64), random(r, n/2), random(r, n))
	}
}

func TestSIVRefusesWhatIsShort(t *testing.T) {
	s := siv(t, make([]byte, 64), nil)
	for n := range 40 {
		if got, ok := s.Open(nil, make([]byte, n)); ok || len(got) != 0 {
			t.Errorf("%d zeros are opened as %x", n, got)
		}
	}
}

// TestSIVAllocatesNothing is why it is here: it works in the memory that it is given.
func TestSIVAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 9, 15, 16, 17, 31, 32, 33, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s, plain := siv(t, make([]byte, 64), []byte("Patient")), make([]byte, n)
			room, back := make([]byte, 0, n+64), make([]byte, 0, n+64)
			if got := testing.AllocsPerRun(100, func() {
				room = s.Seal(room[:0], plain)
				back, _ = s.Open(back[:0], room)
			}); got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
}

// What one seals the other opens, whatever the key, the associated data and the text; and what is no sealed text to
// one is none to the other.
func FuzzSIV(f *testing.F) {
	f.Add([]byte("key"), []byte("Patient"), []byte("erXuFYUfucBZaryVksYEcMg3"))
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add([]byte{0xff}, make([]byte, 16), make([]byte, 16))
	f.Add([]byte{1}, make([]byte, 17), bytes.Repeat([]byte{0xff}, 33))
	f.Fuzz(func(t *testing.T, key, ad, text []byte) {
		key = append(bytes.Clone(key), make([]byte, 64)...)[:64]
		agrees(t, key, ad, text)
		want, err := tink(t, key).DecryptDeterministically(text, ad)
		got, ok := siv(t, key, ad).Open(nil, text)
		if ok != (err == nil) || !bytes.Equal(got, want) {
			t.Fatalf("%x opens as %x, %v; tink: %x, %v", text, got, ok, want, err)
		}
	})
}
