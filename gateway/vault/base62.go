package vault

import (
	"encoding/binary"
	"math/bits"
)

// Base62, canonical: n bytes have exactly one text, whose length follows from n alone, and no other text decodes to
// them. Each block of 32 bytes is one big-endian number of 43 digits; the bytes left over are one number of as many
// digits as they need at most. So 33 bytes take 45 characters and 46 take 62, the least that is possible for each.
const (
	digits     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	blockBytes = 32
	blockChars = 43

	chunkDigits = 10                 // digits handled by one 64-bit number
	chunk       = 839299365868340224 // 62^10

	noDigit = 0xff
)

// tailChars[n] is the number of digits of n bytes, n < blockBytes.
var tailChars = [blockBytes]int{0, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21,
	22, 23, 25, 26, 27, 29, 30, 31, 33, 34, 35, 37, 38, 39, 41, 42}

// tailBytes is its inverse; -1 where no number of bytes has so many digits.
var tailBytes = func() (t [blockChars]int) {
	for i := range t {
		t[i] = -1
	}
	for n, c := range tailChars {
		t[c] = n
	}
	return t
}()

// digitValue is noDigit for what is no digit.
var digitValue = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i := range len(digits) {
		t[digits[i]] = byte(i)
	}
	return t
}()

// encodedLen is the length of the text of n bytes.
func encodedLen(n int) int { return n/blockBytes*blockChars + tailChars[n%blockBytes] }

// appendBase62 appends the text of src.
func appendBase62(dst, src []byte) []byte {
	for len(src) >= blockBytes {
		dst = appendNumber(dst, src[:blockBytes], blockChars)
		src = src[blockBytes:]
	}
	return appendNumber(dst, src, tailChars[len(src)])
}

// appendNumber appends src, of at most 32 bytes, as a number of n digits.
func appendNumber(dst, src []byte, n int) []byte {
	var raw [blockBytes]byte
	copy(raw[blockBytes-len(src):], src)
	var num [4]uint64 // big-endian
	for i := range num {
		num[i] = binary.BigEndian.Uint64(raw[8*i:])
	}
	start := len(dst)
	var zeros [blockChars]byte
	dst = append(dst, zeros[:n]...)
	for end := start + n; end > start; {
		var rem uint64
		for i := range num {
			num[i], rem = bits.Div64(rem, num[i], chunk)
		}
		for range chunkDigits {
			if end == start {
				break
			}
			end--
			dst[end] = digits[rem%62]
			rem /= 62
		}
	}
	return dst
}

// appendDecoded appends the bytes of a text; false where it is no canonical text.
func appendDecoded(dst []byte, text string) ([]byte, bool) {
	ok := true
	for ok && len(text) >= blockChars {
		dst, ok = appendBytes(dst, text[:blockChars], blockBytes)
		text = text[blockChars:]
	}
	if !ok || tailBytes[len(text)] < 0 {
		return dst, false
	}
	return appendBytes(dst, text, tailBytes[len(text)])
}

// appendBytes appends a number as n bytes; false where it has another character than digits, or does not fit.
func appendBytes(dst []byte, text string, n int) ([]byte, bool) {
	var num [4]uint64
	for len(text) > 0 {
		size := (len(text)-1)%chunkDigits + 1
		var value, scale uint64 = 0, 1
		for i := range size {
			d := digitValue[text[i]]
			if d == noDigit {
				return dst, false
			}
			value, scale = value*62+uint64(d), scale*62
		}
		text = text[size:]
		carry := value
		for i := len(num) - 1; i >= 0; i-- {
			hi, lo := bits.Mul64(num[i], scale)
			var c uint64
			num[i], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if carry != 0 {
			return dst, false
		}
	}
	var raw [blockBytes]byte
	for i := range num {
		binary.BigEndian.PutUint64(raw[8*i:], num[i])
	}
	for _, b := range raw[:blockBytes-n] {
		if b != 0 {
			return dst, false
		}
	}
	return append(dst, raw[blockBytes-n:]...), true
}
