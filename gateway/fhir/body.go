package fhir

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// body reads the message's body as its interaction demands, and returns the
// parameters of a form.
func (p *parser) body(m Message) ([]pair, *Error) {
	r := &p.request
	switch is := r.Interaction; {
	case is == Create, is == Update, is == Batch:
		if e := p.input(m, fhirJSON); e != nil {
			return nil, e
		}
		if is == Batch {
			return nil, p.bundle(m)
		}
		return nil, p.resource()
	case is == Patch:
		if e := p.input(m, jsonPatch); e != nil {
			return nil, e
		}
		if operations, ok := list(r.Input); !ok || len(operations) == 0 {
			return nil, &Error{Kind: MalformedBody}
		}
		return nil, nil
	case is == Operation && m.Method == "POST":
		if len(m.Body) == 0 { // an operation that needs no parameters
			_, e := mediaType(m.Header)
			return nil, e
		}
		if e := p.input(m, fhirJSON); e != nil {
			return nil, e
		}
		if members, _ := object(r.Input); !Known(resourceType(members)) {
			return nil, &Error{Kind: MalformedBody}
		}
		return nil, nil
	case m.Method == "POST": // searches
		return p.form(m)
	}
	if len(m.Body) > 0 {
		return nil, &Error{Kind: UnexpectedBody}
	}
	return nil, nil
}

// input takes a JSON body of the media type.
func (p *parser) input(m Message, want string) *Error {
	media, e := mediaType(m.Header)
	if e != nil {
		return e
	}
	if media != want && (media != "" || len(m.Body) > 0) {
		return &Error{Kind: UnsupportedMedia}
	}
	if !strict(m.Body) {
		return &Error{Kind: MalformedBody}
	}
	p.request.Input = bytes.TrimSpace(m.Body)
	return nil
}

// resource holds the body of a create or an update to its address: the type is
// the same, and so is the id of an update (http.html, section 3.1.0.4). A
// resource that has no id yet, or that a search selects, states none.
func (p *parser) resource() *Error {
	r := &p.request
	members, ok := object(r.Input)
	if !ok || resourceType(members) == "" {
		return &Error{Kind: MalformedBody}
	}
	id, has := "", members["id"] != nil
	if has {
		if id, ok = text(members["id"]); !ok {
			return &Error{Kind: MalformedBody}
		}
	}
	if resourceType(members) != r.Type || has != (r.ID != "") || id != r.ID {
		return &Error{Kind: BodyMismatch}
	}
	return nil
}

func resourceType(members map[string]json.RawMessage) string {
	typ, _ := text(members["resourceType"])
	return typ
}

// form reads the parameters in the body of a search.
func (p *parser) form(m Message) ([]pair, *Error) {
	media, e := mediaType(m.Header)
	switch {
	case e != nil:
		return nil, e
	case len(m.Body) == 0:
		return nil, nil
	case media != urlForm:
		return nil, &Error{Kind: UnsupportedMedia}
	case len(m.Body) > p.limits.FormBytes:
		return nil, &Error{Kind: TooLarge}
	}
	return p.limits.pairs(string(m.Body))
}

const (
	urlForm   = "application/x-www-form-urlencoded"
	fhirJSON  = "application/fhir+json"
	jsonPatch = "application/json-patch+json"
)

// mediaType is the media type of the body, "" where the message names none. Its
// character set is UTF-8 and its FHIR version R4; a content coding is refused,
// and so is any other parameter (RFC 9110, section 8.3).
func mediaType(header map[string][]string) (string, *Error) {
	for _, coding := range values(header, "Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return "", &Error{Kind: UnsupportedMedia}
		}
	}
	line, e := single(header, "Content-Type")
	if e != nil || line == "" {
		return "", e
	}
	media, params, _ := strings.Cut(line, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media == "application/json" {
		media = fhirJSON
	}
	if !slices.Contains([]string{urlForm, fhirJSON, jsonPatch}, media) {
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
