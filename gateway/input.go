package gateway

import (
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/policies"
)

// input is the one mapping from what the gateway knows to what a policy may know. It gives
// names and presences, never a value that the client searched for.
func (c *call) input(e errand, req *fhir.Request) *policies.Input {
	caller, d := e.caller, e.desk
	names := make([]string, 0, len(req.Params))
	for _, p := range req.Params {
		names = append(names, p.Name)
	}
	kind := req.Type
	if kind == "" && len(req.Types) > 0 {
		kind = req.Types[0] // admission asks for the others
	}
	return &policies.Input{
		Caller: policies.Caller{
			Subject: caller.Subject, Issuer: caller.Issuer, Client: caller.ClientID,
			Roles: caller.Roles, FHIRUser: caller.Grant.FHIRUser, Binding: binding(caller),
		},
		Ticket:  policies.Ticket{ID: d.ticket, Category: d.category},
		Purpose: d.purpose,
		Request: policies.Request{
			Interaction: string(req.Interaction), Type: kind, HasID: req.ID != "", Parameters: names,
			Includes: includes(req), Operation: req.Operation, Entries: c.among,
		},
		Context: policies.Context{
			Patient: caller.Grant.Patient, Encounter: caller.Grant.Encounter, EHR: c.rec.EHR, Tenant: c.rec.Tenant,
		},
		Network: policies.Network{Source: c.rec.Source},
		Time:    policies.Clock(c.begun),

		BreakGlass: policies.BreakGlass{Reason: d.emergency},
	}
}

// includes names what is to be included: "_include=Appointment:actor".
func includes(req *fhir.Request) []string {
	var names []string
	for _, i := range req.Includes {
		name := i.Name() + "=" + i.Source + ":*"
		if !i.All {
			name = i.Name() + "=" + i.Source + ":" + i.Param.Name
		}
		if i.Target != "" {
			name += ":" + i.Target
		}
		names = append(names, name)
	}
	return names
}
