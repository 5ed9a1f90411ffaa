package accesslog

import (
	"iter"
	"strings"
	"time"
)

// Version is the version of the record's form, the field "v".
const Version = 1

// Kind says what a record is about.
type Kind string

// The kinds of records.
const (
	// KindAccess answers a call: who asked what about whom, and what left. With More set, further
	// records of the same correlation follow.
	KindAccess Kind = "access"
	// KindRelease names what a later window of a body discloses for the first time.
	KindRelease Kind = "release"
	// KindClose ends a body of several windows: its totals, or why it was cut.
	KindClose Kind = "close"
	// KindRefusal is a call that was refused.
	KindRefusal Kind = "refusal"
	// KindIntent is a write that the EHR is about to be asked for, with what it writes and whom it names. What
	// became of it is in the record that follows; where none does, the gateway did not live to see it.
	KindIntent Kind = "intent"
	// KindAdmin is an administrative act: a reload, a key rotation, a reviewer's own query.
	KindAdmin Kind = "admin"
	// KindRecovery is written by the log itself when it was opened after a crash: what was found
	// behind the last checkpoint, and what was cut.
	KindRecovery Kind = "recovery"
	// KindRotation is written by the log itself when another key begins to sign it; its detail names both.
	KindRotation Kind = "key-rotation"
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{KindAccess, KindRelease, KindClose, KindRefusal, KindIntent, KindAdmin, KindRecovery, KindRotation}
}

// known reports whether k is one of [Kinds].
func (k Kind) known() bool {
	switch k {
	case KindAccess, KindRelease, KindClose, KindRefusal, KindIntent, KindAdmin, KindRecovery, KindRotation:
		return true
	}
	return false
}

// Record is one line of the log. Empty fields are left out of the line. It holds no patient data: a
// patient is a token ([Record].Subjects) or a keyed hash ([Record].Patients, from [Hasher.Patient]),
// and the value of a parameter is a keyed hash ([Hasher.Hash]).
type Record struct {
	Version     int         `json:"v"`                    // always [Version]; set by Append
	Time        time.Time   `json:"time"`                 // UTC; set by Append where zero
	Kind        Kind        `json:"kind"`                 // required
	Clock       string      `json:"clock,omitzero"`       // "wednesday 5": weekday and hour of the call's beginning as rules on hours saw it; empty where it is that of Time
	Correlation string      `json:"correlation,omitzero"` // joins the records of one call, and the calls of one task
	RequestID   string      `json:"request_id,omitzero"`  // one HTTP request
	Trace       string      `json:"trace,omitzero"`       // W3C trace id
	Actor       Actor       `json:"actor,omitzero"`       // who
	Source      string      `json:"source,omitzero"`      // IP address that the call came from
	Request     Request     `json:"request,omitzero"`     // what
	EHR         string      `json:"ehr,omitzero"`         // where to: the configured name of the server
	Tenant      string      `json:"tenant,omitzero"`
	Ticket      Ticket      `json:"ticket,omitzero"`      // why
	Purpose     string      `json:"purpose,omitzero"`     // HL7 v3 PurposeOfUse
	Stated      *string     `json:"stated,omitzero"`      // the purpose as the caller stated it, or none, where it was judged by another
	Policy      Policy      `json:"policy,omitzero"`      // by which rule
	BreakGlass  *BreakGlass `json:"break_glass,omitzero"` // of a call that asked for emergency access, whatever came of it
	Status      int         `json:"status,omitzero"`      // HTTP status that the client is answered with
	Code        string      `json:"code,omitzero"`        // the gateway's error code
	Reason      string      `json:"reason,omitzero"`      // the policy's, or the refusal's
	Subjects    []string    `json:"subjects,omitzero"`    // "Patient/<token>": disclosed, by the token that this client was given
	Patients    []string    `json:"patients,omitzero"`    // the patients among them, by keyed hashes that outlive the tokens
	Written     []string    `json:"written,omitzero"`     // paths of the elements that a write sets, changes or removes: "Appointment.status"; never a value
	More        bool        `json:"more,omitzero"`        // further records of this call follow
	Totals      *Totals     `json:"totals,omitzero"`      // what left and what did not
	Detail      string      `json:"detail,omitzero"`      // of an administrative act, an abort, a recovery or a repeated write; never patient data
	Count       int         `json:"count,omitzero"`       // of refusals that are summed: how many calls this record stands for

	// Sequence is the record's number in the log, from 0: the index of its leaf in the Merkle tree.
	// The log sets it.
	Sequence int64 `json:"seq"`
	// Previous is the RFC 6962 record hash of the line before in standard base64, and for the first
	// record 32 zero bytes. The log sets it.
	Previous string `json:"prev"`
}

// Calls are the ids by which [Query.Correlation] finds the record: its own, and of a batch's entry also the batch's.
func (r *Record) Calls() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(r.Correlation) || !yield(r.RequestID) {
			return
		}
		for i := range r.RequestID {
			if r.RequestID[i] == '#' && !yield(r.RequestID[:i]) {
				return
			}
		}
	}
}

// Actor is who called.
type Actor struct {
	Subject  string   `json:"subject,omitzero"`
	Issuer   string   `json:"issuer,omitzero"`
	Client   string   `json:"client,omitzero"`
	Roles    []string `json:"roles,omitzero"`
	FHIRUser string   `json:"fhir_user,omitzero"` // of a patient or a relative with a keyed hash for the id
	Binding  string   `json:"binding,omitzero"`   // how the token is bound to its sender: "dpop", "mtls"
	Launch   []string `json:"launch,omitzero"`    // what the token's launch context names: "patient", "encounter"; never whom
}

func (a *Actor) empty() bool {
	return a.Subject == "" && a.Issuer == "" && a.Client == "" && len(a.Roles) == 0 && a.FHIRUser == "" && a.Binding == "" && len(a.Launch) == 0
}

// Request is what was asked.
type Request struct {
	Method      string      `json:"method,omitzero"`
	Interaction string      `json:"interaction,omitzero"` // FHIR's code: "read", "search-type"
	Operation   string      `json:"operation,omitzero"`   // of an operation: "match"
	Type        string      `json:"type,omitzero"`
	ID          string      `json:"id,omitzero"`      // the token that the client sent; of what is none a keyed hash; of a compartment with its type before it: "Patient/<token>"
	Version     string      `json:"version,omitzero"` // digits or a UUID; of what is neither a keyed hash
	Parameters  []Parameter `json:"parameters,omitzero"`
	Entries     int         `json:"entries,omitzero"` // of a batch or transaction; each has records of its own, whose RequestID ends in "#1", "#2", …
	Among       int         `json:"among,omitzero"`   // of such an entry: how many there are
}

func (r *Request) empty() bool {
	return r.Method == "" && r.Interaction == "" && r.Operation == "" && r.Type == "" && r.ID == "" && r.Version == "" && len(r.Parameters) == 0 && r.Entries == 0 && r.Among == 0
}

// Reference is what was asked for by its id, "Patient/<token>"; empty where nothing was. Of a search in a compartment it is
// the compartment.
func (r *Request) Reference() string {
	if r.ID == "" || strings.Contains(r.ID, "/") {
		return r.ID
	}
	return r.Type + "/" + r.ID
}

// Parameter is a search parameter with its values hashed by [Hasher.Hash].
type Parameter struct {
	Name     string   `json:"name"`
	Modifier string   `json:"modifier,omitzero"`
	Values   []string `json:"values,omitzero"`
}

// Ticket is the helpdesk ticket that the call was made for.
type Ticket struct {
	ID       string `json:"id,omitzero"`
	Category string `json:"category,omitzero"`
}

// BreakGlass is emergency access: for what reason, a code out of the policy's list, and from when to when. It is
// empty where a call asked for it and the policy did not grant it: what such a call states as its reason may be anything.
type BreakGlass struct {
	Reason  string    `json:"reason,omitzero"`
	Opened  time.Time `json:"opened,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// Policy is what decided.
type Policy struct {
	Revision string `json:"revision,omitzero"` // of the bundle
	Dataset  string `json:"dataset,omitzero"`
	Version  int    `json:"version,omitzero"` // of the dataset
	Code     string `json:"code,omitzero"`    // the decision's reason
}

// Totals is what a body came to.
type Totals struct {
	BytesIn   int64                     `json:"bytes_in"`
	BytesOut  int64                     `json:"bytes_out"`
	Released  map[string]int            `json:"released,omitzero"`  // resources by type
	Dropped   map[string]map[string]int `json:"dropped,omitzero"`   // resources by cause, then by type
	Removed   map[string]int            `json:"removed,omitzero"`   // elements by path
	Tokenized map[string]int            `json:"tokenized,omitzero"` // elements by path
	Unknown   map[string]int            `json:"unknown,omitzero"`   // members that no row of the dataset names, by path: a sample
	Missing   map[string]int            `json:"missing,omitzero"`   // resources without what the dataset requires, by path
}
