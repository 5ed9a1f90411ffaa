package transforms

import (
	"bytes"
	"slices"
)

// A JSON text as a tree, for the one resource of a write, which is small and has to be gone through
// more than once. It is grown only from text that validate has found good, or that the filter wrote, so
// that there is no second grammar, and what nobody replaces is written again with the characters that it
// came with.

// value is a JSON value.
type value struct {
	name string  // of a member, unescaped
	raw  string  // of a scalar, as it was written; "{" or "[" of a container
	kids []value // of a container: members or elements, in order

	// place is, of an element of a list in a client's view, where it is in the EHR's, counted from 1.
	place int
}

// maxValues bounds the tree of one text. A mebibyte of brackets would else take a hundred of memory.
const maxValues = 1 << 17

// parse reads one JSON text of the kind that opens with the byte: an object or an array.
func parse(doc []byte, open byte) (*value, error) {
	if err := validate(doc, open); err != nil {
		return nil, err
	}
	return grow(doc)
}

// grow reads valid JSON, in which the filter may have noted places.
func grow(doc []byte) (*value, error) {
	g := grower{s: string(doc)}
	v := g.value()
	if g.n > maxValues {
		return nil, &Error{Kind: ErrTooLong}
	}
	return &v, nil
}

// grower grows a tree from valid JSON.
type grower struct {
	s string
	i int
	n int // values so far; nothing grows beyond maxValues
}

func (g *grower) space() {
	for g.i < len(g.s) && g.s[g.i] <= ' ' {
		g.i++
	}
}

func (g *grower) value() value {
	g.space()
	g.n++
	c := g.s[g.i]
	if c != '{' && c != '[' {
		return value{raw: g.scalar()}
	}
	v := value{raw: g.s[g.i : g.i+1]}
	for g.i++; g.n <= maxValues; {
		if g.space(); g.s[g.i] == ',' {
			g.i++
			g.space()
		}
		if g.s[g.i] == c+2 { // the closing one
			g.i++
			return v
		}
		name := ""
		if c == '{' {
			name = text(g.scalar())
			g.space()
			g.i++ // the colon
		}
		place := 0
		if g.s[g.i] == placed {
			for g.i++; g.s[g.i] != placed; g.i++ {
				place = place*10 + int(g.s[g.i]-'0')
			}
			g.i++
		}
		kid := g.value()
		kid.name, kid.place = name, place
		v.kids = append(v.kids, kid)
	}
	return v
}

func (g *grower) scalar() string {
	from := g.i
	if g.s[g.i] == '"' {
		for g.i++; g.s[g.i] != '"'; g.i++ {
			if g.s[g.i] == '\\' {
				g.i++
			}
		}
		g.i++
		return g.s[from:g.i]
	}
	for g.s[g.i] > ' ' && g.s[g.i] != ',' && g.s[g.i] != ']' && g.s[g.i] != '}' {
		g.i++
	}
	return g.s[from:g.i]
}

// text returns what a JSON string says.
func text(raw string) string {
	raw = raw[1 : len(raw)-1]
	for i := range len(raw) {
		if raw[i] == '\\' {
			return string(unescape(nil, []byte(raw)))
		}
	}
	return raw
}

// stringOf returns a value that is a string.
func stringOf(s string) value { return value{raw: string(appendQuoted(nil, s))} }

func (v *value) isObject() bool { return v != nil && v.raw == "{" }
func (v *value) isArray() bool  { return v != nil && v.raw == "[" }
func (v *value) isString() bool { return v != nil && v.raw[0] == '"' }

// get returns the member of a name, or nil.
func (v *value) get(name string) *value {
	if !v.isObject() {
		return nil
	}
	for i := range v.kids {
		if v.kids[i].name == name {
			return &v.kids[i]
		}
	}
	return nil
}

// bare reports whether nothing is said by a value: it is missing, null, or a container of such.
func (v *value) bare() bool {
	if v == nil || v.raw == "null" {
		return true
	}
	for i := range v.kids {
		if !v.kids[i].bare() {
			return false
		}
	}
	return v.isObject() || v.isArray()
}

// named returns a copy of the value as a member of a name.
func (v *value) named(name string) value { return value{name: name, raw: v.raw, kids: v.kids} }

// clone returns a copy that shares nothing that can change.
func (v *value) clone() value {
	out := *v
	out.kids = slices.Clone(v.kids)
	for i := range v.kids {
		out.kids[i] = v.kids[i].clone()
	}
	return out
}

// size returns how many values there are, and about how many bytes they take to write.
func (v *value) size() (values, bytes int) {
	values, bytes = 1, len(v.raw)+len(v.name)+4
	for i := range v.kids {
		n, b := v.kids[i].size()
		values, bytes = values+n, bytes+b
	}
	return values, bytes
}

// append writes the value.
func (v *value) append(dst []byte) []byte {
	dst = append(dst, v.raw...)
	if !v.isObject() && !v.isArray() {
		return dst
	}
	for i := range v.kids {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.isObject() {
			dst = append(appendQuoted(dst, v.kids[i].name), ':')
		}
		dst = v.kids[i].append(dst)
	}
	return append(dst, v.raw[0]+2)
}

// sameNumber reports whether two JSON numbers are of one value, as RFC 6902, section 4.6, compares
// them: 1, 1.0 and 10e-1 are.
func sameNumber(a, b string) bool {
	da, ea, na := decimal(a)
	db, eb, nb := decimal(b)
	return a == b || bytes.Equal(da, db) && (len(da) == 0 || ea == eb && na == nb && ea < beyond && ea > -beyond)
}

// beyond is an exponent that makes no sense any more, and is not counted to its end.
const beyond = 1 << 40

// decimal takes a JSON number apart: digits without zeros at either end, and the power of ten of the
// last of them.
func decimal(s string) (digits []byte, exponent int, negative bool) {
	if s[0] == '-' {
		negative, s = true, s[1:]
	}
	i, behind := 0, false
	for ; i < len(s) && s[i]|0x20 != 'e'; i++ {
		if s[i] == '.' {
			behind = true
			continue
		}
		digits = append(digits, s[i])
		if behind {
			exponent--
		}
	}
	if i < len(s) {
		power, minus := 0, false
		for _, c := range []byte(s[i+1:]) {
			switch {
			case c == '-':
				minus = true
			case c != '+' && power < 2*beyond:
				power = power*10 + int(c-'0')
			}
		}
		if minus {
			power = -power
		}
		exponent += power
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exponent++
	}
	return bytes.TrimLeft(digits, "0"), exponent, negative
}
