package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	sivBytes = aes.BlockSize // the synthetic IV, which authenticates and is in front of what is sealed
	sivKey   = 64            // two AES-256 keys; a MAC key of 128 bits is too short where there are many clients
)

// siv is AES-SIV (RFC 5297) with one associated data. It keeps both key schedules, and works in the memory that its
// callers bring: what goes through cipher.Block would otherwise be allocated anew for each token. It is immutable and
// safe for concurrent use.
type siv struct {
	mac, ctr cipher.Block
	begin    block // the double of the CMAC of a block of zeros, where S2V begins
	whole    block // CMAC's key for a last block that is full
	part     block // and for one that is not
}

// bound is what S2V has come to after the associated data; it is good for one siv.
type bound [aes.BlockSize]byte

// newSIV takes a key of sivKey bytes, whose first half is S2V's. Of half the length it is the one of RFC 5297's examples.
func newSIV(key []byte) (*siv, error) {
	if len(key) != sivKey && len(key) != sivKey/2 {
		return nil, fmt.Errorf("vault: a key of %d bytes", len(key))
	}
	s := new(siv)
	var err error
	if s.mac, err = aes.NewCipher(key[:len(key)/2]); err != nil {
		return nil, err
	}
	if s.ctr, err = aes.NewCipher(key[len(key)/2:]); err != nil {
		return nil, err
	}
	b := make([]byte, aes.BlockSize)
	s.mac.Encrypt(b, b)
	s.whole = blockOf(b).double() // RFC 4493, section 2.3
	s.part = s.whole.double()
	clear(b)
	s.cmac(b, make([]byte, aes.BlockSize))
	s.begin = blockOf(b).double()
	return s, nil
}

// bind has S2V take the associated data in, once for all that is sealed with it (RFC 5297, section 2.4).
func (s *siv) bind(to *bound, ad []byte) {
	clear(to[:])
	s.cmac(to[:], ad)
	s.begin.xor(to[:])
}

// seal appends the sealed plain. dst must not overlap it, and past its length is written to.
func (s *siv) seal(dst []byte, to *bound, plain []byte) []byte {
	n, room := len(dst), roundUp(len(plain))
	dst = slices.Grow(dst, sivBytes+room)[:n+sivBytes+room]
	iv, body := dst[n:n+sivBytes], dst[n+sivBytes:]
	copy(body, plain)
	s.vector(iv, to, body[:len(plain)])
	// In place of each block the key stream's, since Encrypt needs memory of its own for both.
	s.stream(body, iv)
	subtle.XORBytes(body, body, plain)
	return dst[:n+sivBytes+len(plain)]
}

// open appends what is sealed; false, and nothing, where it was not sealed by this key with this associated data. dst
// must not overlap sealed, and past its length is written to.
func (s *siv) open(dst []byte, to *bound, sealed []byte) ([]byte, bool) {
	if len(sealed) < sivBytes {
		return dst, false
	}
	iv, sealed := sealed[:sivBytes], sealed[sivBytes:]
	n, room := len(dst), roundUp(len(sealed))
	dst = slices.Grow(dst, room+sivBytes)[:n+room+sivBytes]
	body, own := dst[n:n+room], dst[n+room:]
	s.stream(body, iv)
	subtle.XORBytes(body, body, sealed)
	plain := body[:len(sealed)]
	s.vector(own, to, plain)
	if subtle.ConstantTimeCompare(own, iv) != 1 {
		clear(dst[n:])
		return dst[:n], false
	}
	return dst[:n+len(sealed)], true
}

// vector writes S2V of plain to iv. It writes to plain, and leaves it as it was.
func (s *siv) vector(iv []byte, to *bound, plain []byte) {
	clear(iv)
	if len(plain) < aes.BlockSize {
		iv[copy(iv, plain)] = 0x80
		blockOf(to[:]).double().xor(iv)
		s.whole.xor(iv)
		s.mac.Encrypt(iv, iv)
		return
	}
	end := plain[len(plain)-aes.BlockSize:]
	blockOf(to[:]).xor(end)
	s.cmac(iv, plain)
	blockOf(to[:]).xor(end)
}

// cmac goes on with an AES-CMAC (RFC 4493) of text from the block in mac, which is zero at its beginning.
func (s *siv) cmac(mac, text []byte) {
	for len(text) > aes.BlockSize {
		blockOf(text).xor(mac)
		s.mac.Encrypt(mac, mac)
		text = text[aes.BlockSize:]
	}
	if len(text) == aes.BlockSize {
		blockOf(text).xor(mac)
		s.whole.xor(mac)
	} else {
		subtle.XORBytes(mac, mac, text)
		mac[len(text)] ^= 0x80
		s.part.xor(mac)
	}
	s.mac.Encrypt(mac, mac)
}

// stream fills whole blocks with CTR's key stream. Two bits of the IV are cleared (RFC 5297, section 2.5), so that
// counting never carries out of its last 32 bits.
func (s *siv) stream(body, iv []byte) {
	at := blockOf(iv)
	at.lo &^= 1<<63 | 1<<31
	for ; len(body) > 0; body = body[aes.BlockSize:] {
		at.put(body)
		s.ctr.Encrypt(body, body)
		at.lo++
	}
}

// roundUp is the length of the blocks that n bytes take.
func roundUp(n int) int { return (n + aes.BlockSize - 1) &^ (aes.BlockSize - 1) }

// block is one of AES as a number, its first byte the highest.
type block struct{ hi, lo uint64 }

func blockOf(b []byte) block {
	return block{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x block) put(b []byte) {
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

// xor adds x to a block of bytes.
func (x block) xor(b []byte) {
	binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^x.hi)
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])^x.lo)
}

// double multiplies in the field of RFC 4493, in the same time for every x.
func (x block) double() block {
	return block{x.hi<<1 | x.lo>>63, x.lo<<1 ^ 0x87&-(x.hi>>63)}
}
