package fhir

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unescape decodes percent-encoding once; where plus is set, '+' is a space as
// HTML forms have it. It refuses bad escapes, raw bytes that a URL cannot hold,
// and whatever decodes to invalid UTF-8 or to a control character.
func unescape(s string, plus bool) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", false
			}
			c = hi<<4 | lo
			i += 2
		case c <= ' ' || c >= 0x7f || c == '#':
			return "", false
		case c == '+' && plus:
			c = ' '
		}
		b.WriteByte(c)
	}
	text := b.String()
	return text, utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

func unhex(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c|0x20-'a' < 6:
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}
