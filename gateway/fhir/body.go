package fhir

import (
	"slices"
	"strings"
)

// body reads the message's body as its interaction demands, and returns the
// parameters of a form.
func (p *parser) body(m Message) ([]pair, *Error) {
	if m.Method != "POST" {
		if len(m.Body) > 0 {
			return nil, &Error{Kind: UnexpectedBody}
		}
		return nil, nil
	}
	media, e := mediaType(m.Header)
	if e != nil {
		return nil, e
	}
	if len(m.Body) == 0 {
		return nil, nil
	}
	if media != form {
		return nil, &Error{Kind: UnsupportedMedia}
	}
	if len(m.Body) > p.limits.FormBytes {
		return nil, &Error{Kind: TooLarge}
	}
	return p.limits.pairs(string(m.Body))
}

const (
	form     = "application/x-www-form-urlencoded"
	fhirJSON = "application/fhir+json"
	patch    = "application/json-patch+json"
)

// mediaType is the media type of the body, "" where the message names none. Its
// character set is UTF-8 and its FHIR version R4; a content coding is refused,
// and so is a parameter that is neither (RFC 9110, section 8.3).
func mediaType(header map[string][]string) (string, *Error) {
	for _, coding := range values(header, "Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return "", &Error{Kind: UnsupportedMedia}
		}
	}
	lines := values(header, "Content-Type")
	if len(lines) == 0 {
		return "", nil
	}
	if len(lines) > 1 {
		return "", &Error{Kind: MalformedHeader, Param: "Content-Type"}
	}
	media, params, _ := strings.Cut(lines[0], ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media == "application/json" {
		media = fhirJSON
	}
	if !slices.Contains([]string{form, fhirJSON, patch}, media) {
		return "", &Error{Kind: UnsupportedMedia}
	}
	seen := map[string]bool{}
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		name, value = strings.ToLower(name), strings.ToLower(strings.Trim(value, `"`))
		switch {
		case strings.TrimSpace(p) == "":
		case !ok, seen[name]:
			return "", &Error{Kind: MalformedHeader, Param: "Content-Type"}
		case name == "charset" && value == "utf-8",
			name == "fhirversion" && media == fhirJSON && (value == "4.0" || value == "4.0.1"):
		default:
			return "", &Error{Kind: UnsupportedMedia}
		}
		seen[name] = true
	}
	return media, nil
}
