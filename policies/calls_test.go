package policies_test

import (
	"time"

	"github.com/halfdoor/halfdoor/policies"
)

// deskCall is one call of a desk's day, as the gateway would tell a policy of it.
type deskCall struct {
	desk, category, purpose   string
	interaction, kind         string
	hasID                     bool
	parameters, includes      []string
	operation                 string
	refused                   string // the code of the default bundle's refusal; "" is allowed
	otherRoles, withoutTicket bool
}

// deskCalls are what the three desks of the default bundle mostly do, and what they sometimes try.
var deskCalls = []deskCall{
	{desk: "access", category: "login", interaction: "operation", kind: "Patient", operation: "match", parameters: []string{"family", "birthdate"}},
	{desk: "access", category: "account", purpose: "HOPERAT", interaction: "search-type", kind: "Practitioner", parameters: []string{"identifier"}, withoutTicket: true},
	{desk: "access", category: "identity", interaction: "read", kind: "Patient", hasID: true, otherRoles: true},
	{desk: "access", category: "login", interaction: "search-type", kind: "Observation", parameters: []string{"patient"}, refused: "policy-type"},
	{desk: "scheduling", category: "appointment", purpose: "PATADMIN", interaction: "read", kind: "Appointment", hasID: true},
	{desk: "scheduling", category: "appointment", purpose: "PATADMIN", interaction: "search-type", kind: "Appointment",
		parameters: []string{"patient", "date", "status", "_count"}, includes: []string{"_include=Appointment:actor"}},
	{desk: "scheduling", category: "referral", interaction: "search-type", kind: "Slot", parameters: []string{"schedule", "start", "status"}, withoutTicket: true},
	{desk: "scheduling", category: "appointment", purpose: "PATRQT", interaction: "update", kind: "Appointment", hasID: true},
	{desk: "scheduling", category: "scheduling", interaction: "patch", kind: "Task", hasID: true, otherRoles: true},
	{desk: "scheduling", category: "invoice", purpose: "PATADMIN", interaction: "read", kind: "Appointment", hasID: true, refused: "policy-category"},
	{desk: "billing", category: "invoice", interaction: "search-type", kind: "Coverage", parameters: []string{"beneficiary"}},
	{desk: "billing", category: "coverage", purpose: "COVERAGE", interaction: "read", kind: "Coverage", hasID: true, otherRoles: true},
	{desk: "billing", category: "billing", purpose: "TREAT", interaction: "read", kind: "Encounter", hasID: true, refused: "policy-purpose"},
}

// input is made anew for each call, as the gateway does: its lists and the document are the call's own.
func (c *deskCall) input() *policies.Input {
	in := &policies.Input{
		Caller: policies.Caller{
			Subject: "agent-7", Issuer: "https://id.example.org", Client: "desk-app", Roles: rolesOf[c.desk],
			FHIRUser: "Practitioner/7", Binding: "dpop",
		},
		Ticket:  policies.Ticket{ID: "INC-1042", Category: c.category},
		Purpose: c.purpose,
		Request: policies.Request{
			Interaction: c.interaction, Type: c.kind, HasID: c.hasID, Operation: c.operation,
			Parameters: append(make([]string, 0, len(c.parameters)), c.parameters...),
			Includes:   append(make([]string, 0, len(c.includes)), c.includes...),
		},
		Context: policies.Context{EHR: "main", Tenant: "main"},
		Network: policies.Network{Source: "192.0.2.10"},
		Time:    policies.Clock(monday),
	}
	if c.otherRoles {
		in.Caller.Roles = manyRolesOf[c.desk]
	}
	if c.withoutTicket {
		in.Ticket = policies.Ticket{}
	}
	return in
}

var monday = time.Date(2024, 6, 3, 9, 30, 0, 0, time.UTC)

// A caller has other roles beside the desk's, often many.
var rolesOf, manyRolesOf = map[string][]string{}, map[string][]string{}

func init() {
	for _, desk := range []string{"access", "scheduling", "billing"} {
		rolesOf[desk] = []string{"staff", "helpdesk-" + desk}
		manyRolesOf[desk] = []string{"staff", "offline_access", "vpn", "mail", "helpdesk-" + desk, "site-north", "uma_authorization"}
	}
}
