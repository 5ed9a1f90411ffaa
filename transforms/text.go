package transforms

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// span returns the index of the first quote, backslash or control byte at or after i, and the OR
// of the words that it read: where no top bit of that is set, all before the index is ASCII.
func span(b []byte, i int) (int, uint64) {
	var all uint64
	for {
		v := binary.LittleEndian.Uint64(b[i:])
		all |= v
		// Flipping 0x02 takes a quote to 0x20, next to the control bytes, and what is there away. Of a byte
		// below 0x80, a difference has the top bit where the byte is below 0x20 or a quote, or a backslash.
		// A borrow, which comes from such a byte only, can set it for a later byte as well; only the first
		// is used.
		m := (((v ^ 0x02*ones) - 0x21*ones) | ((v ^ 0x5c*ones) - ones)) &^ v & tops
		if m != 0 {
			return i + bits.TrailingZeros64(m)>>3, all
		}
		i += 8
	}
}

// stringEnd scans the rest of a string from i on, and returns the index behind its closing quote.
// Where whole, the bytes from r on stay in the window; else r may move to where the scan is.
func (f *filter) stringEnd(i int, whole bool) (int, error) {
	for {
		b := f.buf
		j, all := span(b, i)
		if all&tops != 0 && !validUTF8(b[i:j]) {
			t := completeRunes(b, i, j)
			if j != f.w || t == j || !validUTF8(b[i:t]) {
				f.r = i
				return 0, f.fail(ErrUTF8)
			}
			// The window ends within a rune.
			var err error
			if i, err = f.refill(t, whole); err != nil {
				return 0, err
			}
			continue
		}
		i = j
		missing := false
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, kind := escape(b[i:f.w])
			if kind != nil {
				f.r = i
				return 0, f.fail(kind)
			}
			i += n
			missing = n == 0
		case i < f.w:
			f.r = i
			return 0, f.fail(ErrSyntax) // a control character
		default:
			missing = true
		}
		if missing {
			var err error
			if i, err = f.refill(i, whole); err != nil {
				return 0, err
			}
		}
	}
}

// refill reads more with the scan at i, and returns where that is then.
func (f *filter) refill(i int, whole bool) (int, error) {
	if !whole {
		f.r = i
	}
	d := i - f.r
	if err := f.more(); err != nil {
		return 0, f.need(err)
	}
	return f.r + d, nil
}

// completeRunes returns the end of b[i:j] without a rune at its end that is cut.
func completeRunes(b []byte, i, j int) int {
	for n := 1; n < utf8.UTFMax && j-n >= i; n++ {
		if utf8.RuneStart(b[j-n]) {
			if !utf8.FullRune(b[j-n : j]) {
				return j - n
			}
			break
		}
	}
	return j
}

// escape returns the length of the escape that b begins with: 0 where b ends too soon.
func escape(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
	default:
		return 0, ErrSyntax
	}
	u, n := hex4(b[2:])
	switch {
	case n < 4 && 2+n < len(b):
		return 0, ErrSyntax
	case n < 4:
		return 0, nil
	case !utf16.IsSurrogate(u):
		return 6, nil
	case u >= 0xdc00,
		len(b) > 6 && b[6] != '\\', len(b) > 7 && b[7] != 'u':
		return 0, ErrUTF8
	case len(b) < 8:
		return 0, nil
	}
	l, n := hex4(b[8:])
	switch {
	case n < 4 && 8+n < len(b):
		return 0, ErrSyntax
	case n < 4:
		return 0, nil
	case l < 0xdc00 || l > 0xdfff:
		return 0, ErrUTF8
	}
	return 12, nil
}

// hex4 reads up to four hexadecimal digits, and returns how many there are.
func hex4(b []byte) (u rune, n int) {
	for _, c := range b[:min(4, len(b))] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return u, n
		}
		u = u<<4 | rune(c)
		n++
	}
	return u, n
}

// quoted scans the string at r, of which r is the opening quote, and moves r behind it. It returns
// where its raw characters are in buf, and whether any may be escaped.
func (f *filter) quoted() (k, e int, escaped bool, err error) {
	k = f.r + 1
	e, all := span(f.buf, k)
	if f.buf[e] == '"' && all&tops == 0 {
		f.r = e + 1
		return k, e, false, nil
	}
	end, err := f.stringEnd(k, true)
	if err != nil {
		return 0, 0, false, err
	}
	k = f.r + 1
	f.r = end
	return k, end - 1, true, nil
}

// text scans the string at r and returns it unescaped. It is valid until the window moves or the
// next string is scanned.
func (f *filter) text() ([]byte, error) {
	k, e, escaped, err := f.quoted()
	if err != nil || !escaped {
		return f.buf[k:e], err
	}
	f.scratch = unescape(f.scratch[:0], f.buf[k:e])
	return f.scratch, nil
}

// unescape appends what a valid string's raw characters stand for.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		switch s[i+1] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			u, _ := hex4(s[i+2:])
			if utf16.IsSurrogate(u) {
				l, _ := hex4(s[i+8:])
				u = utf16.DecodeRune(u, l)
				i += 6
			}
			dst = utf8.AppendRune(dst, u)
			i += 4
		default:
			dst = append(dst, s[i+1])
		}
		i += 2
	}
	return dst
}

// appendQuoted appends s as a JSON string.
func appendQuoted[S ~string | ~[]byte](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
