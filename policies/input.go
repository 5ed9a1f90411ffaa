package policies

import (
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// InputVersion is the version of the document that a policy is asked with; schemas/input.json describes it.
const InputVersion = 1

// Input is what a policy is told about one call. It holds no value that the caller searched for, and no body. What is
// not known stays empty; a policy finds every field nevertheless.
type Input struct {
	Version int    // default InputVersion
	Caller  Caller // who
	Ticket  Ticket // why
	Purpose string // as stated, a code of HL7 v3 PurposeOfUse
	Request Request
	Context Context
	Network Network
	Time    Time

	BreakGlass BreakGlass
}

// Caller is who calls, from the verified access token.
type Caller struct {
	Subject, Issuer, Client string
	Roles                   []string
	FHIRUser                string
	Binding                 string // "dpop" or "mtls"; default "none", a bearer token
}

// Ticket is the helpdesk ticket that a call is made for.
type Ticket struct {
	ID, Category string
}

// Request is what a call asks for, by FHIR's code of the interaction.
type Request struct {
	Interaction, Type string
	HasID             bool     // one resource is named
	Parameters        []string // names alone, chains whole
	Includes          []string // "_include=Appointment:actor", "_revinclude:iterate=Slot:schedule:Schedule", "_include=Appointment:*"
	Operation         string   // "match", without its $
	Entries           int      // of the batch or transaction that this is an entry of; 0 for a call of its own
}

// Context is what a call is held to: ids of the token's launch context, and names from the configuration.
type Context struct {
	Patient, Encounter string
	EHR, Tenant        string
}

// Network is where a call comes from.
type Network struct {
	Source string // IP address
}

// BreakGlass is that the caller says this is an emergency.
type BreakGlass struct {
	Reason string // a code, of which the policy says what it means; empty where this is no emergency
}

// Time is the gateway's clock; see [Clock].
type Time struct {
	Weekday string // "monday"
	Hour    int    // 0 to 23
}

var weekdays = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// Clock is the time of a call as a policy sees it, in the zone of t.
func Clock(t time.Time) Time {
	return Time{Weekday: weekdays[t.Weekday()], Hour: t.Hour()}
}

// String is "monday 9".
func (t Time) String() string { return t.Weekday + " " + strconv.Itoa(t.Hour) }

// ParseTime reads what [Time.String] writes.
func ParseTime(s string) (Time, bool) {
	day, hour, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(hour)
	return Time{Weekday: day, Hour: n}, err == nil
}

// The keys of the document, and the value of what is not known, made once and only read.
var (
	keyVersion = ast.StringTerm("version")

	keyCaller   = ast.StringTerm("caller")
	keySubject  = ast.StringTerm("subject")
	keyIssuer   = ast.StringTerm("issuer")
	keyClient   = ast.StringTerm("client")
	keyRoles    = ast.StringTerm("roles")
	keyFHIRUser = ast.StringTerm("fhir_user")
	keyBinding  = ast.StringTerm("binding")

	keyTicket   = ast.StringTerm("ticket")
	keyID       = ast.StringTerm("id")
	keyCategory = ast.StringTerm("category")

	keyPurpose = ast.StringTerm("purpose")

	keyRequest     = ast.StringTerm("request")
	keyInteraction = ast.StringTerm("interaction")
	keyType        = ast.StringTerm("type")
	keyHasID       = ast.StringTerm("has_id")
	keyParameters  = ast.StringTerm("parameters")
	keyIncludes    = ast.StringTerm("includes")
	keyOperation   = ast.StringTerm("operation")
	keyEntries     = ast.StringTerm("entries")

	keyContext   = ast.StringTerm("context")
	keyPatient   = ast.StringTerm("patient")
	keyEncounter = ast.StringTerm("encounter")
	keyEHR       = ast.StringTerm("ehr")
	keyTenant    = ast.StringTerm("tenant")

	keyNetwork = ast.StringTerm("network")
	keySource  = ast.StringTerm("source")

	keyTime    = ast.StringTerm("time")
	keyWeekday = ast.StringTerm("weekday")
	keyHour    = ast.StringTerm("hour")

	keyBreakGlass = ast.StringTerm("break_glass")
	keyReason     = ast.StringTerm("reason")

	emptyText = ast.StringTerm("")
	// calm is that nobody says this is an emergency, as in nearly every call.
	calm = ast.ObjectTerm(ast.Item(keyReason, emptyText))
)

// value is the document, made directly: by way of JSON it would cost as much as the decision.
func (in *Input) value() ast.Value {
	version, binding := in.Version, in.Caller.Binding
	if version == 0 {
		version = InputVersion
	}
	if binding == "" {
		binding = "none"
	}
	// 18 texts, 10 objects and lists below the document itself.
	t := make(terms, 0, 18+10+len(in.Caller.Roles)+len(in.Request.Parameters)+len(in.Request.Includes))
	return ast.NewObject(
		[2]*ast.Term{keyVersion, ast.InternedTerm(version)},
		[2]*ast.Term{keyCaller, t.object(
			[2]*ast.Term{keySubject, t.text(in.Caller.Subject)},
			[2]*ast.Term{keyIssuer, t.text(in.Caller.Issuer)},
			[2]*ast.Term{keyClient, t.text(in.Caller.Client)},
			[2]*ast.Term{keyRoles, t.list(in.Caller.Roles)},
			[2]*ast.Term{keyFHIRUser, t.text(in.Caller.FHIRUser)},
			[2]*ast.Term{keyBinding, t.text(binding)},
		)},
		[2]*ast.Term{keyTicket, t.object(
			[2]*ast.Term{keyID, t.text(in.Ticket.ID)},
			[2]*ast.Term{keyCategory, t.text(in.Ticket.Category)},
		)},
		[2]*ast.Term{keyPurpose, t.text(in.Purpose)},
		[2]*ast.Term{keyRequest, t.object(
			[2]*ast.Term{keyInteraction, t.text(in.Request.Interaction)},
			[2]*ast.Term{keyType, t.text(in.Request.Type)},
			[2]*ast.Term{keyHasID, ast.InternedTerm(in.Request.HasID)},
			[2]*ast.Term{keyParameters, t.list(in.Request.Parameters)},
			[2]*ast.Term{keyIncludes, t.list(in.Request.Includes)},
			[2]*ast.Term{keyOperation, t.text(in.Request.Operation)},
			[2]*ast.Term{keyEntries, ast.InternedTerm(in.Request.Entries)},
		)},
		[2]*ast.Term{keyContext, t.object(
			[2]*ast.Term{keyPatient, t.text(in.Context.Patient)},
			[2]*ast.Term{keyEncounter, t.text(in.Context.Encounter)},
			[2]*ast.Term{keyEHR, t.text(in.Context.EHR)},
			[2]*ast.Term{keyTenant, t.text(in.Context.Tenant)},
		)},
		[2]*ast.Term{keyNetwork, t.object(
			[2]*ast.Term{keySource, t.text(in.Network.Source)},
		)},
		[2]*ast.Term{keyTime, t.object(
			[2]*ast.Term{keyWeekday, t.text(in.Time.Weekday)},
			[2]*ast.Term{keyHour, ast.InternedTerm(in.Time.Hour)},
		)},
		[2]*ast.Term{keyBreakGlass, t.emergency(in.BreakGlass)},
	)
}

// terms is room for the terms of one document in one piece. Growing it would only cost an allocation, as those handed
// out keep the room that they are in.
type terms []ast.Term

func (t *terms) add(v ast.Value) *ast.Term {
	*t = append(*t, ast.Term{Value: v})
	return &(*t)[len(*t)-1]
}

func (t *terms) text(s string) *ast.Term {
	if s == "" {
		return emptyText
	}
	return t.add(ast.String(s))
}

func (t *terms) emergency(b BreakGlass) *ast.Term {
	if b.Reason == "" {
		return calm
	}
	return t.object([2]*ast.Term{keyReason, t.text(b.Reason)})
}

func (t *terms) object(members ...[2]*ast.Term) *ast.Term { return t.add(ast.NewObject(members...)) }

func (t *terms) list(values []string) *ast.Term {
	list := make([]*ast.Term, len(values))
	for i, v := range values {
		list[i] = t.text(v)
	}
	return t.add(ast.NewArray(list...))
}
