package vault

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// A value is packed before it is sealed, so that more ids fit into a token of 64 characters. The first byte's two high
// bits say how; every value has exactly one packing.
//
//	id       6 bits for each of 1 to 64 characters of FHIR's id alphabet, whose number less one is in the low bits
//	uuid     16 bytes; lower-case only
//	decimal  8 bytes, big-endian; up to 19 digits without a leading zero. Always 8, so that a token does not show
//	         how large a record number is
//	raw      the bytes as they are, for what is no FHIR id
const (
	packID byte = iota << 6
	packUUID
	packDecimal
	packRaw
)

const (
	maxID      = 64
	maxDecimal = 19 // 10^19-1 fits 64 bits
	uuidChars  = 36
	hexDigits  = "0123456789abcdef"
	symbols    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."
)

// symbolValue is noDigit for what FHIR's id alphabet does not have.
var symbolValue = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i := range len(symbols) {
		t[symbols[i]] = byte(i)
	}
	return t
}()

// validID says whether a value is a FHIR id: [A-Za-z0-9\-\.]{1,64}.
func validID(value []byte) bool {
	if len(value) == 0 || len(value) > maxID {
		return false
	}
	for _, c := range value {
		if symbolValue[c] == noDigit {
			return false
		}
	}
	return true
}

// appendPacked appends the packing of value.
func appendPacked(dst, value []byte) []byte {
	if isDecimal(value) {
		n, _ := strconv.ParseUint(string(value), 10, 64) // does not escape: no allocation
		return binary.BigEndian.AppendUint64(append(dst, packDecimal), n)
	}
	if len(value) == uuidChars {
		if hi, lo, ok := parseUUID((*[uuidChars]byte)(value)); ok {
			return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(dst, packUUID), hi), lo)
		}
	}
	start := len(dst)
	if len(value) > 0 && len(value) <= maxID {
		dst = append(dst, packID|byte(len(value)-1))
		var acc, have uint
		var seen byte
		for _, c := range value {
			v := symbolValue[c]
			seen |= v
			acc, have = acc<<6|uint(v), have+6
			if have >= 8 {
				have -= 8
				dst = append(dst, byte(acc>>have))
			}
		}
		if have > 0 {
			dst = append(dst, byte(acc<<(8-have)))
		}
		if seen < 64 {
			return dst
		}
	}
	return append(append(dst[:start], packRaw), value...) // no FHIR id
}

// unpack returns the value of a packing; false where it is none. Only what a holder of the key has sealed gets here.
func unpack(packed []byte) (string, bool) {
	if len(packed) == 0 {
		return "", false
	}
	head, body := packed[0], packed[1:]
	low := int(head & 0x3f)
	switch head &^ 0x3f {
	case packDecimal:
		if low != 0 || len(body) != 8 {
			return "", false
		}
		return strconv.FormatUint(binary.BigEndian.Uint64(body), 10), true
	case packUUID:
		if low != 0 || len(body) != 16 {
			return "", false
		}
		var out [uuidChars]byte
		for _, r := range uuidHex {
			n := (r[1] - r[0]) / 2
			hex.Encode(out[r[0]:r[1]], body[:n])
			body = body[n:]
		}
		out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
		return string(out[:]), true
	case packID:
		n := low + 1
		if len(body) != (n*6+7)/8 {
			return "", false
		}
		out := make([]byte, 0, maxID)
		var acc, have uint
		for _, b := range body {
			acc, have = acc<<8|uint(b), have+8
			for have >= 6 && len(out) < n {
				have -= 6
				out = append(out, symbols[acc>>have&0x3f])
			}
		}
		if acc&(1<<have-1) != 0 {
			return "", false
		}
		return string(out), true
	default:
		return string(body), low == 0
	}
}

// uuidHex are the runs of hexadecimal digits in a UUID.
var uuidHex = [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}}

// parseUUID returns the number that a lower-case UUID is.
func parseUUID(value *[uuidChars]byte) (hi, lo uint64, ok bool) {
	if value[8] != '-' || value[13] != '-' || value[18] != '-' || value[23] != '-' {
		return 0, 0, false
	}
	var seen byte
	number := func(hex []byte) (n uint64) {
		for _, c := range hex {
			v := hexValue[c]
			seen |= v
			n = n<<4 | uint64(v&0xf)
		}
		return n
	}
	hi = number(value[0:8])<<32 | number(value[9:13])<<16 | number(value[14:18])
	lo = number(value[19:23])<<48 | number(value[24:36])
	return hi, lo, seen <= 0xf
}

func isDecimal(value []byte) bool {
	if len(value) == 0 || len(value) > maxDecimal || value[0] == '0' && len(value) > 1 {
		return false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// hexValue is noDigit for what is no lower-case hexadecimal digit.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i := range len(hexDigits) {
		t[hexDigits[i]] = byte(i)
	}
	return t
}()
