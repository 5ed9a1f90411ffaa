package fhir

import (
	"strconv"
	"strings"
)

// Kind says why a request was refused. Its text is stable and holds nothing of
// the request; the gateway maps it to a status and a sentence.
type Kind string

const (
	// MalformedPath: the path is not one that FHIR's grammar allows (400).
	MalformedPath Kind = "path-malformed"
	// MalformedQuery: the query string cannot be read (400).
	MalformedQuery Kind = "query-malformed"
	// UnknownType: the first segment names no R4 resource type (404).
	UnknownType Kind = "type-unknown"
	// MalformedID: an id or version that no resource can have (404, as for a
	// resource that does not exist).
	MalformedID Kind = "id-malformed"
	// MethodNotAllowed: the method has no meaning at this path; Error.Allow
	// names those that do (405).
	MethodNotAllowed Kind = "method-not-allowed"
	// MethodOverride: a header asks to take the request for one with another
	// method (400).
	MethodOverride Kind = "method-override"
	// UnsupportedInteraction: an interaction that is not performed here, such as
	// a batch within a batch; Error.Interaction names it (403).
	UnsupportedInteraction Kind = "interaction-not-supported"
	// UnknownParameter: no parameter of this name here (400).
	UnknownParameter Kind = "parameter-unknown"
	// BadParameter: a value or modifier that the parameter cannot have, or a
	// repetition of one that may stand once (400).
	BadParameter Kind = "parameter-invalid"
	// NotSupported: a parameter, modifier or chain of FHIR that the gateway
	// understands and refuses (400).
	NotSupported Kind = "parameter-not-supported"
	// MalformedHeader: a header is not of its grammar; Error.Param names it (400).
	MalformedHeader Kind = "header-malformed"
	// NotAcceptable: an answer in something other than JSON was asked for, or in
	// content codings that are not offered alone (406).
	NotAcceptable Kind = "format-not-acceptable"
	// TooLong: the request target exceeds a limit (414).
	TooLong Kind = "target-too-long"
	// MissingParameter: a search of several types without _type, or a
	// conditional interaction without criteria, where Error.Param is empty (400).
	MissingParameter Kind = "parameter-missing"
	// UnsupportedHeader: a header that changes what the request means, and that
	// the gateway does not act on here; Error.Param names it (400).
	UnsupportedHeader Kind = "header-not-supported"
	// UnsupportedMedia: the body is of no media type that the interaction takes,
	// or in a content coding (415).
	UnsupportedMedia Kind = "media-type-not-supported"
	// UnexpectedBody: a body where none has a meaning (400).
	UnexpectedBody Kind = "body-unexpected"
	// MalformedBody: the body is not JSON in UTF-8 without duplicate keys, or
	// not of the form that the interaction takes (400).
	MalformedBody Kind = "body-malformed"
	// BodyMismatch: the resource in the body is not the one that the address
	// names (400).
	BodyMismatch Kind = "body-mismatch"
	// TooLarge: the body, or a batch's number of entries, exceeds a limit (413).
	TooLarge Kind = "body-too-large"
)

// Error is the refusal of a request. It never holds a value of the request;
// Type and Param are set only where they match a harmless grammar.
type Error struct {
	Kind        Kind
	Interaction Interaction // where it was recognised
	Type        string      // an R4 resource type, or what stood for one if it is of letters alone
	Param       string      // the header's or parameter's name, without its modifier if it is a known one
	Modifier    string      // set where the modifier is the reason
	Allow       []string    // methods, for MethodNotAllowed
	Entry       int         // of a transaction: the entry for which it is refused, counted from 1; else 0
}

// Error describes the refusal in the gateway's own words.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("fhir: ")
	b.WriteString(string(e.Kind))
	for _, part := range [...]struct{ name, value string }{
		{"interaction", string(e.Interaction)}, {"type", e.Type},
		{"parameter", e.Param}, {"modifier", e.Modifier}, {"allow", strings.Join(e.Allow, ", ")},
	} {
		if part.value != "" {
			b.WriteString(" " + part.name + "=" + part.value)
		}
	}
	if e.Entry > 0 {
		b.WriteString(" entry=" + strconv.Itoa(e.Entry))
	}
	return b.String()
}
