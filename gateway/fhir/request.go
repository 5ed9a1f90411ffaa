package fhir

import "strings"

// Interaction is FHIR's own code of an interaction (code system
// restful-interaction), extended by the two that FHIR gives none.
type Interaction string

const (
	Read         Interaction = "read"
	VRead        Interaction = "vread"
	SearchType   Interaction = "search-type"
	Capabilities Interaction = "capabilities"

	// Recognised, and refused as UnsupportedInteraction.
	Create            Interaction = "create"
	Update            Interaction = "update"
	Patch             Interaction = "patch"
	Delete            Interaction = "delete"
	HistoryInstance   Interaction = "history-instance"
	HistoryType       Interaction = "history-type"
	HistorySystem     Interaction = "history-system"
	SearchSystem      Interaction = "search-system"
	SearchCompartment Interaction = "search-compartment" // not one of FHIR's codes
	Operation         Interaction = "operation"
	Batch             Interaction = "batch" // batch or transaction: the body tells
)

// Message is what Parse reads of an HTTP request.
type Message struct {
	Method string
	Path   string // still escaped, below the FHIR base, starting with a slash
	Query  string // raw, without its question mark
	Header map[string][]string
}

// Limits bounds what Parse reads. A zero field takes its default.
type Limits struct {
	URLBytes   int // path and query together, escaped; 8192
	Params     int // parameters in the query; 64
	ValueBytes int // one parameter's name and value, decoded; 2048 (_page is bound by URLBytes alone)
	Count      int // larger _count values are lowered to this, as FHIR permits; 1000
}

// Request is one interaction, understood whole.
type Request struct {
	Interaction Interaction
	Head        bool   // HEAD: as GET, without a body
	Type        string // R4 resource type; empty for capabilities
	ID          string // read, vread
	Version     string // vread

	// Params are the parameters to act on, in the order of the query: search
	// parameters, and of the result parameters _count and _sort. _format and
	// _pretty are consumed.
	Params []Param

	// Page is the value of _page, the gateway's own sealed continuation. Where
	// it is set, Params is empty: no other parameter may stand beside it but
	// _count, which is ignored, since clients add it to links (@medplum/core).
	Page string

	Dropped []string // names of unknown parameters, dropped under Prefer: handling=lenient
	Pretty  bool     // _pretty=true
}

// Path is the request's path below a FHIR base, without a leading slash:
// "Patient/123". All of it is plain: nothing needs an escape.
func (r *Request) Path() string {
	switch {
	case r.Interaction == Capabilities:
		return "metadata"
	case r.Version != "":
		return r.Type + "/" + r.ID + "/_history/" + r.Version
	case r.ID != "":
		return r.Type + "/" + r.ID
	}
	return r.Type
}

// Encode is the query string of Params, without a question mark. What it
// returns is pure ASCII.
func (r *Request) Encode() string {
	parts := make([]string, len(r.Params))
	for i, p := range r.Params {
		parts[i] = p.Encode()
	}
	return strings.Join(parts, "&")
}
