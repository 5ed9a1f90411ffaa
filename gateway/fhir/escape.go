package fhir

import "strings"

// FHIR R4, search.html, section 2.21.1.5.7 (Escaping Search Parameters): in a
// value, "$", "," and "|" stand for themselves after a backslash, and so does
// the backslash.

const special = `,$|\`

// Escape writes text so that it stands for itself in a [Param]'s value.
func Escape(text string) string {
	if !strings.ContainsAny(text, special) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Unescape is the text that a value, or a part of one, stands for.
func Unescape(value string) string {
	if strings.IndexByte(value, '\\') < 0 {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// Split cuts a value at each separator ('|' or '$') that is not escaped. The
// parts keep their escapes.
func Split(value string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, value[start:i])
			start = i + 1
		}
	}
	return append(parts, value[start:])
}

// escapesValid reports whether each backslash precedes a character that may be
// escaped. A stray one would let the EHR split where we did not.
func escapesValid(value string) bool {
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' {
			i++
			if i == len(value) || strings.IndexByte(special, value[i]) < 0 {
				return false
			}
		}
	}
	return true
}

// Pointer is the value of a reference parameter, or of a Reference.reference,
// taken apart.
type Pointer struct {
	Base    string // of an absolute one, "https://ehr.example/fhir"; empty if relative
	Type    string // empty in a bare id, and where an absolute one is not to a resource
	ID      string
	Version string // after a canonical URL's "|"
	URL     string // an absolute one as it stood, without its version
}

// ParsePointer reads a reference parameter's value: "id", "Type/id", or an
// absolute http, https or urn URL, with a business version ("url|1.0") for
// canonical ones. It takes the value with FHIR's escapes.
func ParsePointer(value string) (Pointer, bool) {
	parts := Split(value, '|')
	text := Unescape(parts[0])
	var p Pointer
	switch {
	case strings.HasPrefix(text, "http://"), strings.HasPrefix(text, "https://"), strings.HasPrefix(text, "urn:"):
		if strings.ContainsAny(text, " \"<>\\^`{}") || strings.HasSuffix(text, "/") || len(parts) > 2 {
			return Pointer{}, false
		}
		p.URL = text
		if len(parts) == 2 {
			p.Version = Unescape(parts[1])
			return p, p.Version != "" && !strings.Contains(p.Version, " ")
		}
		if rest, id, ok := cutLast(text); ok && ValidID(id) {
			if base, typ, ok := cutLast(rest); ok && Known(typ) {
				p.Base, p.Type, p.ID = base, typ, id
			}
		}
		return p, true
	case len(parts) > 1:
		return Pointer{}, false
	}
	p.ID = text
	if typ, id, ok := strings.Cut(text, "/"); ok {
		p.Type, p.ID = typ, id
	}
	return p, ValidID(p.ID) && (p.Type == "" || Known(p.Type)) && (p.Type != "" || !strings.Contains(text, "/"))
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
