package gateway

import (
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
)

// Judged says whether a call came as far as the policy, which then decided about it, or failed to. What was refused
// before, for its token, its form or its scopes, no policy was asked about.
func Judged(r *accesslog.Record) bool { return r.Policy.Code != "" || r.Code == "policy-failed" }

// Recorded is what the policy was told about a call, from its record. It is the mapping of input, backwards, but for what
// a record does not have, which Recorded leaves empty and names by its path in the input:
// whom the token's launch context names, of which a record has that there is a patient, not which; who a user is that is a
// patient; and the reason that was stated
// for emergency access where the policy did not grant it.
func Recorded(r *accesslog.Record) (in *policies.Input, lacks []string) {
	in = &policies.Input{
		Caller: policies.Caller{
			Subject: r.Actor.Subject, Issuer: r.Actor.Issuer, Client: r.Actor.Client,
			Roles: r.Actor.Roles, FHIRUser: r.Actor.FHIRUser, Binding: r.Actor.Binding,
		},
		Ticket:  policies.Ticket{ID: r.Ticket.ID, Category: r.Ticket.Category},
		Purpose: r.Purpose,
		Request: policies.Request{
			Interaction: r.Request.Interaction, Type: r.Request.Type, Operation: r.Request.Operation, Entries: r.Request.Among,
			HasID: r.Request.ID != "" && r.Request.Interaction != string(fhir.SearchCompartment),
		},
		Context: policies.Context{EHR: r.EHR, Tenant: r.Tenant},
		Network: policies.Network{Source: r.Source},
	}
	for _, p := range r.Request.Parameters {
		switch kind, isType := strings.CutPrefix(p.Name, "_type="); {
		case isType && in.Request.Type == "":
			in.Request.Type = kind // the first; admission asks for the others
		case isType:
		case strings.Contains(p.Name, "="):
			in.Request.Includes = append(in.Request.Includes, p.Name)
		default:
			in.Request.Parameters = append(in.Request.Parameters, p.Name)
		}
	}
	if b := r.BreakGlass; b != nil {
		if in.BreakGlass.Reason = b.Reason; b.Reason == "" {
			in.BreakGlass.Reason = "recorded" // a reason, and no policy's
			lacks = append(lacks, "input.break_glass.reason")
		}
	}
	if kind, _, ok := strings.Cut(r.Actor.FHIRUser, "/"); ok && ofPatients(kind) {
		lacks = append(lacks, "input.caller.fhir_user")
	}
	if r.Stated != nil {
		in.Purpose = *r.Stated
	}
	in.Time = policies.Clock(r.Time)
	if told, ok := policies.ParseTime(r.Clock); ok {
		in.Time = told
	}
	for _, what := range []struct {
		name string
		into *string
	}{{"patient", &in.Context.Patient}, {"encounter", &in.Context.Encounter}} {
		if slices.Contains(r.Actor.Launch, what.name) {
			*what.into = "recorded" // a FHIR id, and nobody's
			lacks = append(lacks, "input.context."+what.name)
		}
	}
	return in, lacks
}
