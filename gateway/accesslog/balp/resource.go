package balp

import (
	"strings"
	"unicode"
)

// An Event is an AuditEvent, for encoding/json. Its fields are FHIR's.
type Event struct {
	Kind           Kind      `json:"-"` // what [Kinds] calls it
	ResourceType   string    `json:"resourceType"`
	ID             string    `json:"id"`
	Meta           *meta     `json:"meta,omitempty"`
	Contained      []outcome `json:"contained,omitempty"`
	Type           coding    `json:"type"`
	Subtype        []coding  `json:"subtype,omitempty"`
	Action         string    `json:"action,omitempty"`
	Recorded       string    `json:"recorded"`
	Outcome        string    `json:"outcome,omitempty"`
	OutcomeDesc    string    `json:"outcomeDesc,omitempty"`
	PurposeOfEvent []concept `json:"purposeOfEvent,omitempty"`
	Agent          []agent   `json:"agent"`
	Source         source    `json:"source"`
	Entity         []entity  `json:"entity,omitempty"`
}

type (
	meta struct {
		Profile []string `json:"profile"`
	}
	coding struct {
		System  string `json:"system,omitempty"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	concept struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	identifier struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value"`
	}
	reference struct {
		Reference  string      `json:"reference,omitempty"`
		Type       string      `json:"type,omitempty"`
		Identifier *identifier `json:"identifier,omitempty"`
		Display    string      `json:"display,omitempty"`
	}
	network struct {
		Address string `json:"address"`
		Type    string `json:"type"` // FHIR's network-type: 1 a machine's name, 2 an IP address, 5 a URI
	}
	agent struct {
		Type         *concept  `json:"type,omitempty"`
		Role         []concept `json:"role,omitempty"`
		Who          reference `json:"who"`
		AltID        string    `json:"altId,omitempty"`
		Requestor    bool      `json:"requestor"`
		Policy       []string  `json:"policy,omitempty"`
		Network      *network  `json:"network,omitempty"`
		PurposeOfUse []concept `json:"purposeOfUse,omitempty"`
	}
	source struct {
		Site     string    `json:"site"`
		Observer reference `json:"observer"`
		Type     []coding  `json:"type"`
	}
	entity struct {
		What        *reference `json:"what,omitempty"`
		Type        *coding    `json:"type,omitempty"`
		Role        *coding    `json:"role,omitempty"`
		Name        string     `json:"name,omitempty"` // not beside a query: FHIR's rule sev-1
		Description string     `json:"description,omitempty"`
		Query       []byte     `json:"query,omitempty"`
		Detail      []detail   `json:"detail,omitempty"`
	}
	detail struct {
		Type  string `json:"type"`
		Value string `json:"valueString"`
	}
	outcome struct {
		ResourceType string  `json:"resourceType"`
		ID           string  `json:"id"`
		Issue        []issue `json:"issue"`
	}
	issue struct {
		Severity string  `json:"severity"`
		Code     string  `json:"code"`
		Details  concept `json:"details"`
	}
)

// clean makes a client's text a FHIR string: no control characters, no space at its ends.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// token makes a text one that a code or a URI may be: no white space in it.
func token(s string) string { return strings.Join(strings.Fields(clean(s)), "_") }
