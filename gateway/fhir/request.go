package fhir

import (
	"cmp"
	"strings"
)

// Interaction is FHIR's own code of an interaction (code system
// restful-interaction), extended by the two that FHIR gives none.
type Interaction string

const (
	Read              Interaction = "read"
	VRead             Interaction = "vread"
	Create            Interaction = "create"
	Update            Interaction = "update"
	Patch             Interaction = "patch"
	Delete            Interaction = "delete"
	HistoryInstance   Interaction = "history-instance"
	HistoryType       Interaction = "history-type"
	HistorySystem     Interaction = "history-system"
	SearchType        Interaction = "search-type"
	SearchSystem      Interaction = "search-system"
	SearchCompartment Interaction = "search-compartment" // not one of FHIR's codes
	Capabilities      Interaction = "capabilities"
	Operation         Interaction = "operation" // Request.Operation names it; its level is where Type and ID are
	Batch             Interaction = "batch"
	Transaction       Interaction = "transaction"
)

// Interactions returns every interaction that a request can be.
func Interactions() []Interaction {
	return []Interaction{
		Read, VRead, Create, Update, Patch, Delete, HistoryInstance, HistoryType, HistorySystem,
		SearchType, SearchSystem, SearchCompartment, Capabilities, Operation, Batch, Transaction,
	}
}

// Searches reports whether the interaction is a search, at whatever level.
func (i Interaction) Searches() bool {
	return i == SearchType || i == SearchSystem || i == SearchCompartment
}

// History reports whether the interaction is a history, at whatever level.
func (i Interaction) History() bool {
	return i == HistoryInstance || i == HistoryType || i == HistorySystem
}

// Writes reports whether the interaction changes one resource. A batch, a
// transaction or an operation may do so as well; what they hold tells.
func (i Interaction) Writes() bool {
	return i == Create || i == Update || i == Patch || i == Delete
}

// Message is what Parse reads of an HTTP request.
type Message struct {
	Method string
	Path   string // still escaped, below the FHIR base, starting with a slash
	Query  string // raw, without its question mark
	Header map[string][]string

	// Body is the whole body, after any transfer coding; empty where there is
	// none. A content coding is refused, so Body is never compressed.
	Body []byte
}

// Limits bounds what Parse reads. A zero field takes its default.
type Limits struct {
	URLBytes   int // path and query together, escaped; 8192
	Params     int // parameters in the query and form body together; 64
	ValueBytes int // one parameter's name and value, decoded; 2048 (_page is bound by URLBytes alone)
	FormBytes  int // the form body of a POST to _search; 65536
	Entries    int // entries of a batch or transaction; 100
	Count      int // larger _count values are lowered to this, as FHIR permits; 1000
}

// Request is one interaction, understood whole.
type Request struct {
	Interaction Interaction
	Head        bool // HEAD: as GET, without a body

	// Type is the R4 resource type that is read, written or searched. It is
	// empty at the level of the system, and in a search of a compartment for
	// resources of any type.
	Type    string
	ID      string // read, vread, history-instance; update, patch and delete that are not conditional; an operation on an instance
	Version string // vread

	// Compartment is the one that a search-compartment looks into.
	Compartment Compartment

	// Types is the list of _type, where Type is empty: in a search-system and in
	// a search of a compartment for any type. It is never empty there.
	Types []string

	// Params are the parameters to act on, in the order in which they were sent,
	// those of the query before those of a form body: search parameters, chains
	// and _has; _count and _sort of a search; _count, _since and _at of a
	// history; the parameters of an operation that was called by GET, of which
	// nothing is known. Where Conditional is set they are its criteria.
	Params []Param

	// Conditional is set on a create with If-None-Exist, and on an update, patch
	// or delete whose resource Params select.
	Conditional bool

	// What shapes an answer. Parse only understands it: admission decides.
	Includes []Include
	Elements []string // _elements: names of elements at the top of a resource
	Summary  string   // _summary: true, text, data, count, false
	Total    string   // _total: none, estimate, accurate

	// Page is the value of _page, the gateway's own sealed continuation. Where
	// it is set, Params is empty: no other parameter may stand beside it but
	// _count, which is ignored, since clients add it to links (@medplum/core).
	Page string

	Operation string // an operation's name without its "$"

	// Input is the body as it was sent: a resource for create and update, a JSON
	// Patch (RFC 6902) for patch, a resource for an operation, mostly Parameters.
	// It is valid JSON in UTF-8 without duplicate keys at any depth; nothing
	// else of its inside is known but what Parse promises of its resourceType
	// and id.
	Input []byte

	// IfMatch and IfNoneMatch are the version in the header of that name,
	// without quotes: of W/"3", "3". IfMatch is read on update, patch and
	// delete, IfNoneMatch on read.
	IfMatch, IfNoneMatch string

	Return         string // Prefer: return, of a write: minimal, representation, OperationOutcome or empty
	IdempotencyKey string // of whatever is sent by POST, PUT, PATCH or DELETE

	Entries []Entry // batch, transaction

	Dropped []string // names of unknown parameters, dropped under Prefer: handling=lenient
	Pretty  bool     // _pretty=true
}

// Compartment names a compartment: "Patient", "123". The id may be a token.
type Compartment struct{ Type, ID string }

// Entry is one entry of a batch or transaction.
type Entry struct {
	Method  string   // GET, HEAD, POST, PUT, PATCH or DELETE; empty where it is none of these
	FullURL string   // a urn:uuid, a urn:oid or an absolute URL; may be empty
	Request *Request // nil where Err is set
	Err     *Error   // this entry alone is refused; never set in a transaction
}

// Include is one _include or _revinclude.
type Include struct {
	Reverse bool // _revinclude
	Iterate bool // :iterate
	Source  string
	// Param is the reference parameter of Source, nil where All is set.
	Param  *SearchParameter
	Target string // the one type of target that is asked for; empty for any
	All    bool   // "*": every reference parameter of Source
}

// Path is the request's path below a FHIR base, without a leading slash:
// "Patient/123". All of it is plain: nothing needs an escape. A search's is that
// of GET.
func (r *Request) Path() string {
	path := r.Type
	if r.Compartment.Type != "" {
		path = r.Compartment.Type + "/" + r.Compartment.ID + "/" + cmp.Or(r.Type, "*")
	}
	if r.ID != "" {
		path += "/" + r.ID
	}
	switch {
	case r.Interaction == Capabilities:
		return "metadata"
	case r.Version != "":
		path += "/_history/" + r.Version
	case r.Interaction.History():
		path += "/_history"
	}
	if r.Operation != "" {
		path += "/$" + r.Operation
	}
	return strings.TrimPrefix(path, "/")
}

// Encode is the query string of Types, Params, Includes, Elements, Summary and
// Total, without a question mark. What it returns is pure ASCII; Parse reads it
// back to the same.
func (r *Request) Encode() string {
	size := 128 // for all that is not a parameter
	for _, p := range r.Params {
		size += p.size()
	}
	var b strings.Builder
	b.Grow(size)
	next := func() *strings.Builder {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		return &b
	}
	if len(r.Types) > 0 {
		next().WriteString("_type=" + strings.Join(r.Types, ","))
	}
	for _, p := range r.Params {
		p.encode(next())
	}
	for _, i := range r.Includes {
		next().WriteString(i.Encode())
	}
	if len(r.Elements) > 0 {
		next().WriteString("_elements=" + strings.Join(r.Elements, ","))
	}
	if r.Summary != "" {
		next().WriteString("_summary=" + r.Summary)
	}
	if r.Total != "" {
		next().WriteString("_total=" + r.Total)
	}
	return b.String()
}
