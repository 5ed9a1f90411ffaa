package smart

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

var (
	// ErrScope says that no scope of the token covers the call.
	ErrScope = errors.New("no scope covers the call")

	// ErrNoPatient says that only patient/ scopes would cover the call, and that the
	// token's launch context names no patient.
	ErrNoPatient = errors.New("patient scope without a patient in the launch context")

	// ErrGranular says that only scopes with search parameters cover the call, and that they
	// cannot be held for it: a write, an operation, or parameters that are not [fhir.Param.Checkable].
	ErrGranular = errors.New("granular scopes cannot be held for the call")
)

// Grant is what a verified token brings. The ids are the EHR's own.
type Grant struct {
	Scopes    []Scope
	Patient   string // launch context; "" where there is none
	Encounter string // launch context
	FHIRUser  string // "Practitioner/123" or an absolute URL
}

// Floor is what holds a call that the scopes cover. The zero Floor holds nothing more.
type Floor struct {
	// Patient is the id of the one patient in whose compartment every resource of the
	// answer has to be; "" where the call is not held to one.
	Patient string

	// Shared is set where the call's type is in no patient's compartment, and a patient/
	// scope names the type itself. Resources of that type are then not to be compared
	// with Patient; every other one still is.
	Shared bool

	// Only are the parameters of scopes with parameters: a resource of the call's type leaves where it
	// meets all parameters of one of them ([Floor.Covers]). Empty where the scopes cover the whole type.
	// Each has its Definition; their values are the scope's own and hold no tokens.
	Only [][]fhir.Param

	// Narrow are parameters to be ANDed into the query of a search, where one query can say what
	// Only does.
	Narrow []fhir.Param
}

// Key tells floors apart: two are equal where their keys are. What outlives a call and
// acts for its floor, such as a sealed link to the next page, has to be bound to it.
func (f Floor) Key() string {
	var b strings.Builder
	b.WriteString(strconv.FormatBool(f.Shared) + " " + f.Patient)
	for _, p := range f.Narrow {
		b.WriteString(" " + p.Encode())
	}
	if f.Narrow != nil { // which says the same
		return b.String()
	}
	for _, params := range f.Only {
		b.WriteString(" or")
		for _, p := range params {
			b.WriteString(" " + p.Encode())
		}
	}
	return b.String()
}

// Needs is a set of the letters that scopes have to have.
type Needs uint8

const (
	Create Needs = 1 << iota
	Read
	Update
	Delete
	Search

	all = Create | Read | Update | Delete | Search
)

// Permit is the floor of a request, or ErrScope, ErrNoPatient or ErrGranular. A scope
// without parameters wins over one with; a user/ or system/ scope wins over a patient/
// scope, whose patient then does not hold the call. The patient of a path or of a search
// parameter is not compared here: it may still be a token.
//
// What each interaction needs is SMART App Launch 2.2's, section "Scopes for requesting
// FHIR Resources": read, vread and the history of an instance r; searches and the other
// histories s; create c; update and patch u; delete d. A conditional interaction searches,
// and so needs s as well; an update that finds nothing becomes a create, which is to be
// permitted as one. Of operations SMART says nothing: $match needs r and s, any other needs all
// letters, on every type where it is called on the system.
//
// Not covered are: what an _include brings and what chains read, types that [PermitType]
// is asked about; the entries of a batch or
// transaction, of which each is a request to be permitted by itself. A batch needs any
// data scope at all.
func Permit(g *Grant, req *fhir.Request) (Floor, error) {
	if req.Interaction == fhir.Capabilities {
		return Floor{}, nil
	}
	if g == nil {
		return Floor{}, ErrScope
	}
	if req.Interaction == fhir.Batch || req.Interaction == fhir.Transaction {
		if len(g.Scopes) == 0 {
			return Floor{}, ErrScope
		}
		return Floor{}, nil
	}
	needs, ok := needed(req)
	if !ok {
		return Floor{}, ErrScope
	}
	types := req.Types
	switch {
	case req.Type != "":
		types = []string{req.Type}
	case req.Interaction == fhir.HistorySystem, req.Interaction == fhir.Operation:
		types = []string{"*"}
	}
	var floor Floor
	for i, typ := range types {
		f, err := PermitType(g, typ, needs)
		switch {
		case err != nil:
			return Floor{}, err
		case i > 0 && f.Key() != floor.Key(): // one query cannot be held to two floors
			return Floor{}, ErrGranular
		}
		floor = f
	}
	switch {
	case len(types) == 0:
		return Floor{}, ErrScope
	case floor.Granular() && !reads(req):
		return Floor{}, ErrGranular
	}
	return floor, nil
}

// reads says whether each resource that a call is about can be looked at before it matters. That is not so of a history that
// has others' gaps in it, of an operation, and of a create that asks whether something exists at all.
func reads(req *fhir.Request) bool {
	switch req.Interaction {
	case fhir.Read, fhir.VRead, fhir.HistoryInstance:
		return true
	case fhir.Create:
		return false
	}
	return req.Interaction.Searches() || req.Conditional
}

// needed are the letters for an interaction; false where it has none.
func needed(req *fhir.Request) (Needs, bool) {
	var needs Needs
	switch req.Interaction {
	case fhir.Read, fhir.VRead, fhir.HistoryInstance:
		return Read, true
	case fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment, fhir.HistoryType, fhir.HistorySystem:
		return Search, true
	case fhir.Operation:
		if req.Operation == "match" {
			return Read | Search, true
		}
		return all, true
	case fhir.Create:
		needs = Create
	case fhir.Update, fhir.Patch:
		needs = Update
	case fhir.Delete:
		needs = Delete
	}
	if req.Conditional && needs != 0 {
		needs |= Search
	}
	return needs, needs != 0
}

// PermitType is the floor of what is done to resources of one type beside or beyond a
// request's own: that an _include brings them, that an update creates one. It errs as
// [Permit] does. The type "*" is every type, which only a scope on "*" covers. Where
// several letters are needed, different scopes may bring them, and the narrowest holds.
func PermitType(g *Grant, resourceType string, needs Needs) (Floor, error) {
	if g == nil || resourceType == "" || needs == 0 || needs&^all != 0 {
		return Floor{}, ErrScope
	}
	var floor Floor
	for letter := Create; letter <= Search; letter <<= 1 {
		if needs&letter == 0 {
			continue
		}
		f, err := cover(g, resourceType, letter)
		if err != nil {
			return Floor{}, err
		}
		if f.Patient != "" {
			floor.Patient, floor.Shared = f.Patient, f.Shared
		}
		if floor.Granular() && f.Granular() && !slices.EqualFunc(floor.Only, f.Only, same) {
			return Floor{}, ErrGranular // an AND of two ORs
		}
		if f.Granular() {
			floor.Only = f.Only
		}
		if f.Narrow != nil {
			floor.Narrow = f.Narrow
		}
	}
	return floor, nil
}

// cover is the floor of one letter on one type.
func cover(g *Grant, resourceType string, letter Needs) (Floor, error) {
	_, compartment := fhir.CompartmentParameter(resourceType)
	compartment = compartment || resourceType == "*" // its resources in the compartment, and no others

	var wide, held bool              // a scope without parameters: user/ or system/, patient/
	var wideParts, heldParts []Scope // those with parameters
	var noPatient bool
	for _, s := range g.Scopes {
		switch {
		case s.Type != resourceType && s.Type != "*", s.needs()&letter == 0:
		case s.Level == Patient && !compartment && s.Type == "*":
		case s.Level == Patient && g.Patient == "":
			noPatient = true
		case s.Level == Patient && len(s.Params) == 0:
			held = true
		case s.Level == Patient:
			heldParts = append(heldParts, s)
		case s.Level != User && s.Level != System:
		case len(s.Params) == 0:
			wide = true
		default:
			wideParts = append(wideParts, s)
		}
	}

	patient := Floor{Patient: g.Patient, Shared: !compartment}
	switch {
	case wide:
		return Floor{}, nil
	case held:
		return patient, nil
	case len(wideParts) == 0 && len(heldParts) == 0:
		if noPatient {
			return Floor{}, ErrNoPatient
		}
		return Floor{}, ErrScope
	}
	return granular(resourceType, letter, wideParts, heldParts, patient)
}

// needs are the letters that the scope has.
func (s Scope) needs() (n Needs) {
	for _, l := range []struct {
		has    bool
		letter Needs
	}{{s.Create, Create}, {s.Read, Read}, {s.Update, Update}, {s.Delete, Delete}, {s.Search, Search}} {
		if l.has {
			n |= l.letter
		}
	}
	return n
}
