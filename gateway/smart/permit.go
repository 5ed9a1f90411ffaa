package smart

import (
	"errors"
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

	// ErrGranular says that only scopes with search parameters cover the call, in a way
	// that cannot be put into its query: a read, or scopes on different parameters.
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

	// Narrow are parameters to be ANDed into the query of a search. Each has its
	// Definition; their values are the scope's own and hold no tokens.
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
	return b.String()
}

// Permit is the floor of a request, or ErrScope, ErrNoPatient or ErrGranular. A scope
// without parameters wins over one with; a user/ or system/ scope wins over a patient/
// scope, whose patient then does not hold the call. The patient of a path or of a search
// parameter is not compared here: it may still be a token.
func Permit(g *Grant, req *fhir.Request) (Floor, error) {
	var needs func(Scope) bool
	switch req.Interaction {
	case fhir.Capabilities:
		return Floor{}, nil
	case fhir.Read, fhir.VRead:
		needs = func(s Scope) bool { return s.Read }
	case fhir.SearchType:
		needs = func(s Scope) bool { return s.Search }
	default:
		return Floor{}, ErrScope
	}
	if g == nil || req.Type == "" {
		return Floor{}, ErrScope
	}
	_, compartment := fhir.CompartmentParameter(req.Type)

	var wide, held bool              // a scope without parameters: user/ or system/, patient/
	var wideParts, heldParts []Scope // those with parameters
	var noPatient bool
	for _, s := range g.Scopes {
		switch {
		case s.Type != req.Type && s.Type != "*", !needs(s):
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
	case req.Interaction != fhir.SearchType, len(wideParts) > 0 && len(heldParts) > 0:
		return Floor{}, ErrGranular
	}
	floor := Floor{}
	parts := wideParts
	if len(parts) == 0 {
		floor, parts = patient, heldParts
	}
	query, ok := narrow(parts)
	if !ok {
		return Floor{}, ErrGranular
	}
	floor.Narrow = query
	return floor, nil
}
