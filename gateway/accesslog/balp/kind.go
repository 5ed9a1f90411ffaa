package balp

import (
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A Kind is what an event tells of.
type Kind string

// The kinds of events.
const (
	Read    Kind = "read"
	Query   Kind = "query"
	Create  Kind = "create"
	Update  Kind = "update"
	Delete  Kind = "delete"
	Other   Kind = "other"  // histories, operations, batches, and what was told again: no pattern is for them
	Intent  Kind = "intent" // a write that the EHR was about to be asked for
	Refusal Kind = "refusal"
	Cut     Kind = "cut"   // an answer that ended before it was whole
	Admin   Kind = "admin" // an administrative act, a reviewer's query, a start after a crash
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{Read, Query, Create, Update, Delete, Other, Intent, Refusal, Cut, Admin}
}

// A class is how a record is told.
type class struct {
	kind     Kind
	profile  string // its name behind "IHE.BasicAudit.", without "Patient"; empty: none is claimed
	event    coding
	subtypes []coding
	action   string
	outcome  string
	shape    Kind // whose agents and entities it has
}

// DICOM's codes for what is no RESTful interaction (PS3.16, CID 400 and 401).
const dicom = "http://dicom.nema.org/resources/ontology/DCM"

var (
	rest          = coding{"http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"}
	activity      = coding{dicom, "110100", "Application Activity"}
	logUsed       = coding{dicom, "110101", "Audit Log Used"}
	alert         = coding{dicom, "110113", "Security Alert"}
	started       = coding{dicom, "110120", "Application Start"}
	stopped       = coding{dicom, "110121", "Application Stop"}
	override      = coding{dicom, "110127", "Emergency Override Started"}
	configuration = coding{dicom, "110129", "Security Configuration"}
	restricted    = coding{dicom, "110132", "Use of Restricted Function"}
	recording     = coding{dicom, "110134", "Audit Recording Started"}
)

// The outcomes of FHIR's audit-event-outcome.
const (
	success = "0"
	minor   = "4" // the client's doing, as an HTTP status of 4xx
	serious = "8" // the gateway's or the EHR's, as 5xx
)

// kindOf says how a record is told. A kind that is empty: not at all, since another record of the call is.
func kindOf(r *accesslog.Record) class {
	switch r.Kind {
	case accesslog.KindAdmin, accesslog.KindRecovery:
		return administrative(r)
	case accesslog.KindAccess, accesslog.KindRelease:
		return carriedOut(r)
	case accesslog.KindClose:
		if !strings.HasSuffix(r.Detail, "aborted") {
			if len(r.Subjects) == 0 && len(r.Patients) == 0 {
				return class{} // totals alone: what was released is told
			}
			return carriedOut(r)
		}
		c := restful(r)
		c.kind, c.profile, c.outcome = Cut, "", serious
		if r.Code == "client-gone" {
			c.outcome = minor
		}
		return c
	case accesslog.KindIntent:
		c := restful(r)
		c.kind, c.profile = Intent, ""
		c.subtypes = append(c.subtypes, coding{ActSystem, "intent", "about to be asked of the EHR"})
		return c
	case accesslog.KindRefusal:
		c := restful(r)
		c.kind, c.profile, c.outcome = Refusal, "", minor
		if r.Status >= 500 {
			c.outcome = serious
		}
		return c
	}
	return class{}
}

// carriedOut is what succeeded.
func carriedOut(r *accesslog.Record) class {
	c := restful(r)
	c.outcome = success
	if strings.HasSuffix(r.Detail, "repeated") { // the EHR was not asked again: counting it would count the write twice
		c.kind, c.profile = Other, ""
	}
	if r.BreakGlass != nil {
		c.subtypes = append(c.subtypes, override)
	}
	return c
}

// restful is a record of a call, by its interaction.
func restful(r *accesslog.Record) class {
	code := r.Request.Interaction
	c := class{kind: Other, event: rest, action: "E", shape: Query}
	switch code {
	case "read", "vread":
		c.kind, c.profile, c.action, c.shape = Read, "Read", "R", Read
	case "search-type", "search-system":
		c.kind, c.profile = Query, "Query"
	case "search-compartment": // FHIR has no code of its own for it
		c.kind, c.profile, code = Query, "Query", "search"
	case "create":
		c.kind, c.profile, c.action, c.shape = Create, "Create", "C", Create
	case "update", "patch":
		c.kind, c.profile, c.action, c.shape = Update, "Update", "U", Update
	case "delete":
		c.kind, c.profile, c.action, c.shape = Delete, "Delete", "D", Delete
	case "history-instance":
		c.action, c.shape = "R", Read
	}
	if code != "" {
		c.subtypes = []coding{{"http://hl7.org/fhir/restful-interaction", token(code), ""}}
	}
	return c
}

// administrative is an act that is no call.
func administrative(r *accesslog.Record) class {
	c := class{kind: Admin, event: alert, action: "E", outcome: success, shape: Admin}
	switch act := r.Code; {
	case r.Kind == accesslog.KindRecovery:
		c.subtypes = []coding{recording}
	case act == "start":
		c.event, c.subtypes = activity, []coding{started}
	case act == "stop":
		c.event, c.subtypes = activity, []coding{stopped}
	case strings.HasPrefix(act, "audit-"):
		c.event, c.action = logUsed, "R"
	case strings.HasPrefix(act, "reload"):
		c.subtypes = []coding{configuration}
	default:
		c.subtypes = []coding{restricted}
	}
	if strings.HasSuffix(r.Code, "-refused") || strings.HasSuffix(r.Code, "-failed") {
		c.outcome = minor
	}
	if r.Code != "" {
		c.subtypes = append(c.subtypes, coding{ActSystem, token(r.Code), ""})
	}
	return c
}
