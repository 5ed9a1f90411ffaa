package vault_test

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

// reference is base62 the slow way: blocks of 32 bytes as big numbers, left-padded to the digits that n bytes need.
func reference(src []byte) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out strings.Builder
	for len(src) > 0 {
		block := src[:min(32, len(src))]
		src = src[len(block):]
		limit := new(big.Int).Lsh(big.NewInt(1), uint(8*len(block)))
		n, base := new(big.Int).SetBytes(block), big.NewInt(62)
		var text []byte
		for power := big.NewInt(1); power.Cmp(limit) < 0; power = new(big.Int).Mul(power, base) {
			d := new(big.Int)
			n.DivMod(n, base, d)
			text = append([]byte{alphabet[d.Int64()]}, text...)
		}
		out.Write(text)
	}
	return out.String()
}

func TestBase62AgreesWithTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	lengths := map[int]int{}
	for n := range 150 {
		if m, ok := lengths[vault.EncodedLen(n)]; ok {
			t.Fatalf("%d and %d bytes have texts of one length", m, n)
		}
		lengths[vault.EncodedLen(n)] = n
		for i := range 20 {
			src := make([]byte, n)
			for j := range src {
				switch i {
				case 0:
				case 1:
					src[j] = 0xff
				default:
					src[j] = byte(r.Uint32())
				}
			}
			text := string(vault.AppendBase62(nil, src))
			if want := reference(src); text != want || len(text) != vault.EncodedLen(n) {
				t.Fatalf("text of %x is %q, want %q", src, text, want)
			}
			back, ok := vault.AppendDecoded([]byte("before"), text)
			if !ok || !bytes.Equal(back, append([]byte("before"), src...)) {
				t.Fatalf("%q decodes to %x, %v; want %x", text, back, ok, src)
			}
		}
	}
	for n := range 200 {
		if _, ok := vault.AppendDecoded(nil, strings.Repeat("0", n)); ok != (lengths[n] > 0 || n == 0) {
			t.Errorf("a text of %d characters: %v", n, ok)
		}
	}
}

// Texts of the digits next to where one more or one less carries.
func TestBase62AtItsEdges(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 20000 {
		text := make([]byte, []int{2, 11, 22, 42, 43}[r.IntN(5)])
		for i := range text {
			text[i] = "00001yzzzz"[r.IntN(10)]
		}
		raw, ok := vault.AppendDecoded(nil, string(text))
		if !ok {
			continue // too large for its bytes
		}
		if again := string(vault.AppendBase62(nil, raw)); again != string(text) {
			t.Fatalf("%x is %s, and was decoded from %s", raw, again, text)
		}
	}
}

func FuzzBase62(f *testing.F) {
	for _, seed := range []string{"", "00", "47", "48", "zz", "000", strings.Repeat("z", 43), strings.Repeat("z", 45), "0_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, ok := vault.AppendDecoded(nil, text)
		if !ok {
			return
		}
		if again := string(vault.AppendBase62(nil, raw)); again != text {
			t.Fatalf("%q and %q decode alike", text, again)
		}
	})
}
