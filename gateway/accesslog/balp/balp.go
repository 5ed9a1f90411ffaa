// Package balp writes access records as FHIR R4 AuditEvents that follow the patterns of IHE's Basic
// Audit Log Patterns (BALP 1.1.4, https://profiles.ihe.net/ITI/BALP/1.1.4).
//
// A record that released something, or carried out a write, becomes an event for each patient whom it
// names, as PatientQuery asks for, or one event where it names none. A refusal, an intent, an
// administrative act and a cut answer become events as well. Only what succeeded claims a profile: every
// pattern fixes the outcome at success, and what is neither a read, a search, a create, an update nor a
// delete has no pattern. A refusal keeps the pattern's shape and holds an OperationOutcome.
//
// An event holds no more than its record:
//
//   - A patient is a logical reference: the record's keyed hash, in [PatientSystem]. Where the record has
//     the token that the client was given, it stands beside it as a detail.
//   - A resource is a logical reference too: the client's token, in [TokenSystem]. A literal reference
//     would point at a resource of the server that keeps the events.
//   - entity[query].query is not what was sent, as BALP has it, since the record has no searched value:
//     it is the request with each value as its keyed hash ("identifier=hmac:…"). The same value has the same
//     hash, so that a consumer sees who was looked for again, and not for whom.
//   - The patterns for OAuth tokens want the token's id (jti), which records do not have. The agents are
//     filled as those patterns map them (issuer, subject, client, roles, purpose), and claim none of them.
//
// The id of an event follows from the log's name, the record's number and the patient's place in it: an
// event that is made again is the same event.
package balp

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// The systems of the identifiers that are the gateway's own.
const (
	PatientSystem = "urn:halfdoor:audit-patient" // keyed hashes of patients
	TokenSystem   = "urn:halfdoor:token"         // tokens as clients were given them
	AccountSystem = "urn:halfdoor:account"       // clients and subjects of which no issuer is recorded
	RecordSystem  = "urn:halfdoor:record"        // records: the log's name, "#" and the number
	TicketSystem  = "urn:halfdoor:ticket"        // helpdesk tickets
	OriginSystem  = "urn:halfdoor:origin"        // access logs, by the names in their checkpoints
	EHRSystem     = "urn:halfdoor:ehr"           // EHRs, by their names in the configuration
	ErrorSystem   = "urn:halfdoor:error-code"    // the gateway's error codes
	ActSystem     = "urn:halfdoor:act"           // administrative acts and intents
)

// Options are what events say that records do not.
type Options struct {
	Origin   string                   // the log's name, as its checkpoint has it; required
	Host     string                   // of the gateway, for its network address; default the origin's first part
	Sentence func(code string) string // what an error code means, for people; optional
}

// A Mapper writes the records of one log as events. It may be used concurrently.
type Mapper struct{ Options }

// New checks the options.
func New(o Options) (*Mapper, error) {
	if o.Origin == "" {
		return nil, errors.New("the events need the name of the log")
	}
	if o.Host == "" {
		o.Host, _, _ = strings.Cut(o.Origin, "/")
	}
	return &Mapper{o}, nil
}

// Each visits the events of a record, one for each patient whom it names; only those for the given patients,
// where some are given. The visitor may keep an event.
func (m *Mapper) Each(r *accesslog.Record, patients []string, visit func(*Event) error) error {
	what := kindOf(r)
	if what.kind == "" {
		return nil
	}
	if len(r.Patients) == 0 {
		if len(patients) > 0 {
			return nil
		}
		return visit(m.event(r, what, -1))
	}
	for i, p := range r.Patients {
		if len(patients) > 0 && !slices.Contains(patients, p) {
			continue
		}
		if err := visit(m.event(r, what, i)); err != nil {
			return err
		}
	}
	return nil
}

// event is the event of the record for its patient with this number, or for none.
func (m *Mapper) event(r *accesslog.Record, what class, patient int) *Event {
	e := &Event{
		Kind: what.kind, ResourceType: "AuditEvent", ID: m.id(r.Sequence, patient),
		Type: what.event, Subtype: what.subtypes, Action: what.action,
		Recorded: r.Time.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), Outcome: what.outcome, OutcomeDesc: m.words(r),
		Agent:  m.agents(r, what),
		Source: source{Site: m.Host, Observer: m.self(), Type: []coding{{"http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server"}}},
	}
	if profile := what.profile; profile != "" {
		if patient >= 0 {
			profile = "Patient" + profile
		}
		e.Meta = &meta{Profile: []string{profiles + profile}}
	}
	if r.Purpose != "" {
		e.PurposeOfEvent = []concept{purpose(r.Purpose)}
	}
	e.Entity = m.entities(r, what, patient)
	if r.Kind == accesslog.KindRefusal {
		e.Contained = []outcome{m.contained(r)}
		e.Entity = append(e.Entity, entity{What: &reference{Reference: "#" + outcomeID}, Type: &coding{"http://hl7.org/fhir/resource-types", "OperationOutcome", "OperationOutcome"}})
	}
	return e
}

const profiles = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

// id is a UUID of version 8 (RFC 9562, section 5.8) over where the event comes from.
func (m *Mapper) id(seq int64, patient int) string {
	b := append([]byte("halfdoor audit event v1\x00"), m.Origin...)
	b = binary.BigEndian.AppendUint64(append(b, 0), uint64(seq))
	b = binary.BigEndian.AppendUint64(b, uint64(int64(patient)))
	u := sha256.Sum256(b)
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// words say what the codes do not.
func (m *Mapper) words(r *accesslog.Record) string {
	var all []string
	if r.Code != "" {
		all = append(all, r.Code)
	}
	if m.Sentence != nil && r.Kind != accesslog.KindAdmin {
		if s := m.Sentence(r.Code); s != "" {
			all = append(all, s)
		}
	}
	for _, s := range []string{r.Reason, r.Detail} {
		if s != "" {
			all = append(all, s)
		}
	}
	return clean(strings.Join(all, ": "))
}

// purpose is an HL7 v3 PurposeOfUse.
func purpose(code string) concept {
	return concept{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/v3-ActReason", token(code), ""}}}
}
