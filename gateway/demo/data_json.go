package demo

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// An object is a JSON object whose members keep the order in which they were
// given, as the bytes of a sandbox resource must depend on its seed alone.
type object []member

type member struct {
	name  string
	value any
}

// An array may hold nil: FHIR aligns the extensions of repeated primitives by
// position (https://hl7.org/fhir/R4/json.html#primitive).
type array []any

// A decimal is a number written with the digits that it has: 72.50 stays 72.50.
type decimal string

// obj builds an object from names and values in turn. What is empty is left out,
// because FHIR knows no empty element.
func obj(pairs ...any) object {
	o := make(object, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		if !empty(pairs[i+1]) {
			o = append(o, member{pairs[i].(string), pairs[i+1]})
		}
	}
	return o
}

// with returns o with further members.
func (o object) with(pairs ...any) object {
	return append(o[:len(o):len(o)], obj(pairs...)...)
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case object:
		return len(v) == 0
	case array:
		return len(v) == 0
	}
	return false
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case decimal:
		return append(dst, v...)
	case string:
		return appendString(dst, v)
	case array:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e)
		}
		return append(dst, ']')
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.name), ':')
			dst = appendValue(dst, m.value)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("demo: no JSON for %T", v))
}

// appendString quotes s without the HTML escapes of encoding/json: EHRs send the
// angle brackets of a narrative as they are.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
