package fhir

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body.
const maxDepth = 100

// strict reports whether b is one JSON value that no two readers can take for
// different ones: valid UTF-8 without a byte order mark, no key twice in an
// object however it is escaped, no lone surrogate, no control character that
// FHIR's strings do not have (datatypes.html#string), and not nested beyond
// maxDepth (RFC 8259, sections 4 and 8). It is the one place where this is
// decided: a body passes it whole before anything of it is read, and so does a
// patch that a batch carries in base64.
func strict(b []byte) bool {
	if !utf8.Valid(b) || !json.Valid(b) {
		return false
	}
	// The grammar holds, so all that is left is to tell keys from values.
	var open []map[string]bool // the keys of each open object; nil for an array
	key := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{':
			open, key = append(open, map[string]bool{}), true
		case '[':
			open, key = append(open, nil), false
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			key = open[len(open)-1] != nil
		case '"':
			end := closing(b, i)
			text, ok := unquote(b[i:end])
			if !ok {
				return false
			}
			if key {
				keys := open[len(open)-1]
				if keys[text] {
					return false
				}
				keys[text], key = true, false
			}
			i = end - 1
		}
		if len(open) > maxDepth {
			return false
		}
	}
	return true
}

// closing is the place after the quote that ends the string at i.
func closing(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote reads a valid JSON string; false where what it stands for is no text
// that FHIR has.
func unquote(raw []byte) (string, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	for _, c := range text {
		// encoding/json reads a lone surrogate as U+FFFD. One that was written as
		// such cannot be told from it, and means nothing either.
		if c == utf8.RuneError || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return "", false
		}
	}
	return text, true
}

// object reads the members of a JSON object, by their exact names: into a
// struct, encoding/json would read "ResourceType" as well.
func object(raw []byte) (map[string]json.RawMessage, bool) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	var members map[string]json.RawMessage
	return members, json.Unmarshal(raw, &members) == nil
}

// list reads the items of a JSON array.
func list(raw []byte) ([]json.RawMessage, bool) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	var items []json.RawMessage
	return items, json.Unmarshal(raw, &items) == nil
}

// text reads a JSON string that is not empty.
func text(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil && s != ""
}
