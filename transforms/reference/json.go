package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/transforms"
)

const (
	maxDepth = 128
	maxKeys  = 2048

	tagSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	tagCode   = "SUBSETTED"
)

// errMalformed stands for every kind of input that is not strict JSON: which of them is met first depends on
// the order of reading, which is not the oracle's matter.
var errMalformed = errors.New("not strict JSON")

// malformed are the kinds that errMalformed stands for: of the text, and of what may be met in it before its fault.
var malformed = []error{
	transforms.ErrSyntax, transforms.ErrUTF8, transforms.ErrDuplicate, transforms.ErrDepth,
	transforms.ErrKeys, transforms.ErrTruncated, transforms.ErrTrailing,
	transforms.ErrNoType, transforms.ErrNoRow, transforms.ErrUnexpectedRoot, transforms.ErrLabel, transforms.ErrCompartment,
}

// Parse reads one strict JSON document. Numbers stay text.
func Parse(doc []byte) (any, error) {
	if !json.Valid(doc) || !utf8.Valid(doc) || loneSurrogate(doc) {
		return nil, errMalformed
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errMalformed
	}
	return v, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, errMalformed
	}
	open, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth++; depth > maxDepth {
		return nil, errMalformed
	}
	if open == '[' {
		array := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		dec.Token()
		return array, nil
	}
	object := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errMalformed
		}
		name := key.(string)
		if _, repeated := object[name]; repeated || len(object) == maxKeys {
			return nil, errMalformed
		}
		if object[name], err = parseValue(dec, depth); err != nil {
			return nil, err
		}
	}
	dec.Token()
	return object, nil
}

// loneSurrogate says whether a string of the valid document has a \u escape that is half a character.
func loneSurrogate(doc []byte) bool {
	unit := func(i int) rune { // of the escape at i, or -1
		if i+6 > len(doc) || doc[i] != '\\' || doc[i+1] != 'u' {
			return -1
		}
		u, err := strconv.ParseUint(string(doc[i+2:i+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(u)
	}
	for i := 0; i < len(doc); i++ {
		if doc[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u < 0:
			i++
		case !utf16.IsSurrogate(u):
			i += 5
		case utf16.DecodeRune(u, unit(i+6)) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// ParseLines reads lines of which each is a strict JSON document, and none is empty.
func ParseLines(doc []byte) (any, error) {
	lines := []any{}
	for line := range bytes.Lines(doc) {
		v, err := Parse(line)
		if err != nil || line[len(line)-1] != '\n' {
			return nil, errMalformed
		}
		lines = append(lines, v)
	}
	return lines, nil
}
