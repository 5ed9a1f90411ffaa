package balp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const (
	entityType = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	entityRole = "http://terminology.hl7.org/CodeSystem/object-role"
)

// entities are the request's id, what was asked for or written, the patient, the ticket and the record itself.
func (m *Mapper) entities(r *accesslog.Record, what class, patient int) []entity {
	var all []entity
	if r.RequestID != "" {
		all = append(all, entity{What: &reference{Identifier: &identifier{Value: clean(r.RequestID)}},
			Type: &coding{"https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", ""}})
	}
	switch what.shape {
	case Admin:
	case Query:
		all = append(all, entity{Type: &coding{entityType, "2", "System Object"}, Role: &coding{entityRole, "24", "Query"},
			Description: "each value is a keyed hash of the one that was sent" + released(r), Query: []byte(asked(&r.Request))})
	default:
		all = append(all, entity{What: resource(r), Type: &coding{entityType, "2", "System Object"}, Role: &coding{entityRole, "4", "Domain Resource"},
			Description: strings.Join(r.Written, ", ")})
	}
	if patient >= 0 {
		all = append(all, person(r, patient))
	}
	if r.Ticket.ID != "" {
		all = append(all, entity{What: &reference{Identifier: &identifier{TicketSystem, clean(r.Ticket.ID)}}, Type: &coding{entityType, "4", "Other"},
			Role: &coding{entityRole, "20", "Job"}, Name: cmp.Or(clean(r.Ticket.Category), "ticket")})
	}
	return append(all, m.record(r))
}

// asked is the request as it would stand in a URL, with the record's hashes for its values.
func asked(q *accesslog.Request) string {
	path := strings.Trim(q.Type+"/"+q.ID, "/")
	if q.Interaction == "search-compartment" {
		path = q.ID + "/" + q.Type
	}
	switch {
	case q.Operation != "":
		path += "/$" + q.Operation
	case q.Interaction == "history-type", q.Interaction == "history-system":
		path += "/_history"
	}
	var b strings.Builder
	b.WriteString(cmp.Or(strings.Trim(path, "/"), "/"))
	for i, p := range q.Parameters {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(p.Name)
		if p.Modifier != "" {
			b.WriteString(":" + p.Modifier)
		}
		for j, v := range p.Values {
			b.WriteByte("=,"[min(j, 1)])
			b.WriteString("hmac:" + v)
		}
	}
	return b.String()
}

// released says what left, by type, where the record has the totals.
func released(r *accesslog.Record) string {
	if r.Totals == nil || len(r.Totals.Released) == 0 {
		return ""
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(r.Totals.Released)) {
		all = append(all, fmt.Sprintf("%d %s", r.Totals.Released[kind], kind))
	}
	return "; released: " + strings.Join(all, ", ")
}

// resource is what was read or written, by the client's token, or by the hash of what was no token. What a create made, and what a condition selected, is
// the first subject of the type.
func resource(r *accesslog.Record) *reference {
	q := &r.Request
	ref := &reference{Type: token(q.Type)}
	id := q.ID
	for _, s := range r.Subjects {
		if kind, name, ok := strings.Cut(s, "/"); id == "" && ok && kind == q.Type {
			id = name
		}
	}
	switch {
	case len(id) != accesslog.HashLength && id != "":
		ref.Identifier = &identifier{TokenSystem, clean(id)}
	case id != "" && q.Type == "Patient":
		ref.Identifier = &identifier{PatientSystem, id}
	case id != "":
		ref.Identifier, ref.Display = &identifier{Value: id}, "keyed hash of an id that is no token"
	case q.Type == "":
		ref.Display = "not recorded"
	default:
		ref.Display = "no id is recorded"
	}
	return ref
}

// person is one of the record's patients. The tokens stand in the order of the hashes where all are there.
func person(r *accesslog.Record, n int) entity {
	e := entity{What: &reference{Type: "Patient", Identifier: &identifier{PatientSystem, r.Patients[n]}},
		Type: &coding{entityType, "1", "Person"}, Role: &coding{entityRole, "1", "Patient"}}
	var tokens []string
	for _, s := range r.Subjects {
		if name, ok := strings.CutPrefix(s, "Patient/"); ok {
			tokens = append(tokens, name)
		}
	}
	if len(tokens) == len(r.Patients) {
		e.Detail = []detail{{"token", tokens[n]}}
	}
	return e
}

// record names the record, so that the event can be held against the log and proven by it.
func (m *Mapper) record(r *accesslog.Record) entity {
	e := entity{What: &reference{Identifier: &identifier{RecordSystem, fmt.Sprintf("%s#%d", clean(m.Origin), r.Sequence)}},
		Type: &coding{entityType, "4", "Other"}, Name: "access record", Detail: []detail{{"kind", string(r.Kind)}}}
	for _, d := range []detail{{"correlation", r.Correlation}, {"trace", r.Trace}, {"tenant", r.Tenant}, {"dataset", r.Policy.Dataset}, {"policy", r.Policy.Revision}} {
		if d.Value = clean(d.Value); d.Value != "" {
			e.Detail = append(e.Detail, d)
		}
	}
	if r.Status != 0 {
		e.Detail = append(e.Detail, detail{"status", fmt.Sprint(r.Status)})
	}
	return e
}

const outcomeID = "outcome"

// contained is why the call was refused.
func (m *Mapper) contained(r *accesslog.Record) outcome {
	i := issue{Severity: "error", Code: issueCode(r.Status), Details: concept{Text: cmp.Or(m.words(r), "refused")}}
	if code := token(r.Code); code != "" {
		i.Details.Coding = []coding{{ErrorSystem, code, ""}}
	}
	return outcome{ResourceType: "OperationOutcome", ID: outcomeID, Issue: []issue{i}}
}

// issueCode is FHIR's issue-type for an HTTP status.
func issueCode(status int) string {
	switch {
	case status == 401:
		return "login"
	case status == 403:
		return "forbidden"
	case status == 404:
		return "not-found"
	case status == 409, status == 412, status == 428:
		return "conflict"
	case status == 429, status == 503:
		return "throttled"
	case status >= 500:
		return "exception"
	}
	return "processing"
}
