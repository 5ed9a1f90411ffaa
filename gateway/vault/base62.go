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

	chunkDigits = 10 // digits read into one 64-bit number

	halfDigits  = 5
	half        = 916132832 // 62^5
	blockHalves = (blockChars + halfDigits - 1) / halfDigits

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

// powers[i] is 2^(32*i) by digits of 62^5, the lowest first. What a digit comes to when each is multiplied by any 32 bits
// and all are added up stays below 2^64; so does a carry with it.
var powers = func() (t [blockBytes / 4][blockBytes / 4]uint64) {
	t[0][0] = 1
	for i := 1; i < len(t); i++ {
		var carry uint64
		for j := range i + 1 {
			sum := t[i-1][j]<<32 + carry
			t[i][j], carry = sum%half, sum/half
		}
	}
	return t
}()

// appendNumber appends src, of at most 32 bytes, as a number of n digits.
func appendNumber(dst, src []byte, n int) []byte {
	var raw [blockBytes]byte
	copy(raw[blockBytes-len(src):], src)
	var sums [blockHalves]uint64
	for i := range (len(src) + 3) / 4 {
		word := uint64(binary.BigEndian.Uint32(raw[blockBytes-4-4*i:]))
		for j, p := range powers[i][:i+1] {
			sums[j] += word * p
		}
	}
	var text [blockHalves * halfDigits]byte
	var carry uint64
	for j := range (n + halfDigits - 1) / halfDigits {
		sum := sums[j] + carry
		carry = sum / half
		putHalf((*[halfDigits]byte)(text[len(text)-halfDigits*(j+1):]), sum-carry*half)
	}
	return append(dst, text[len(text)-n:]...)
}

// putHalf writes a number below 62^5 as five digits. It is made a number with its first digit before the point, and each
// multiplication by 62 brings the next one there: much less for a processor than dividing. Behind the point are 58 bits,
// so that it is at most 2^-28 too large, less than one of the last digit, which is 62^-4.
func putHalf(to *[halfDigits]byte, n uint64) {
	const (
		point = 58
		below = 1<<point - 1
		scale = (1<<point)/(62*62*62*62) + 1
	)
	n *= scale
	for i := range to {
		to[i] = digits[n>>point]
		n = n & below * 62
	}
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
