package fhir

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unescape decodes percent-encoding once; where plus is set, '+' is a space as
// HTML forms have it. It refuses bad escapes, raw bytes that a URL cannot hold,
// and whatever decodes to invalid UTF-8 or to a control character.
func unescape(s string, plus bool) (string, bool) {
	if !strings.Contains(s, "%") && !(plus && strings.Contains(s, "+")) {
		return s, !strings.ContainsFunc(s, notInURL)
	}
	var b strings.Builder
	b.Grow(len(s))
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
		case notInURL(rune(c)):
			return "", false
		case c == '+' && plus:
			c = ' '
		}
		b.WriteByte(c)
	}
	text := b.String()
	return text, utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

// notInURL says whether a character cannot stand in a path or query as it is.
func notInURL(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }

func unhex(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c|0x20-'a' < 6:
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// pair is one name=value of a query, decoded. Of the name
// "subject:Patient.name:exact", head is "subject".
type pair struct {
	name, head, rest string // rest is what follows head, with its ':' or '.'
	value            string
}

// pairs splits a raw query. Only '&' separates; a semicolon is part of a
// value, because servers disagree about it. Empty pieces ("a=1&&b=2") are
// nothing; a name without '=' has an empty value.
func (l Limits) pairs(raw string) ([]pair, *Error) {
	var all []pair
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		if len(all) == l.Params {
			return nil, &Error{Kind: TooLong}
		}
		rawName, rawValue, _ := strings.Cut(piece, "=")
		var p pair
		var ok [2]bool
		p.name, ok[0] = unescape(rawName, true)
		p.value, ok[1] = unescape(rawValue, true)
		if !ok[0] || !ok[1] || !harmless(p.name) {
			return nil, &Error{Kind: MalformedQuery}
		}
		p.head, p.rest = cutHead(p.name)
		if p.name != "_page" && len(p.name)+len(p.value) > l.ValueBytes {
			return nil, &Error{Kind: TooLong, Param: p.name}
		}
		all = append(all, p)
	}
	return all, nil
}

// merge makes the pairs of a query and of a form one set (search.html, section
// 2.21.1.1). What stands in both alike stands once, so that a result parameter
// may; where they differ it stands twice, and is refused.
func (l Limits) merge(query, form []pair) ([]pair, *Error) {
	sent := len(query)
	for _, one := range form {
		if !slices.Contains(query[:sent], one) {
			query = append(query, one)
		}
	}
	if len(query) > l.Params {
		return nil, &Error{Kind: TooLong}
	}
	return query, nil
}

// harmless reports whether a parameter's name, known or not, can stand in an
// error: [A-Za-z_][A-Za-z0-9_.:-]{0,127}.
func harmless(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c|0x20-'a' < 26 || c == '_'
		if !letter && (i == 0 || c-'0' >= 10 && strings.IndexByte(".:-", c) < 0) {
			return false
		}
	}
	return name != "" && len(name) <= 128
}
