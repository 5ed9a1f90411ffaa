# The calls that the tests start from, and change in one place.
package halfdoor_test

# A scheduling agent reads an appointment for a ticket, on a Monday morning.
call := {
	"version": 1,
	"caller": {
		"subject": "agent-7",
		"issuer": "https://id.example.org",
		"client": "desk-app",
		"roles": ["helpdesk-scheduling"],
		"fhir_user": "",
		"binding": "none",
	},
	"ticket": {"id": "INC-1042", "category": "appointment"},
	"purpose": "PATADMIN",
	"request": {
		"interaction": "read", "type": "Appointment", "has_id": true, "parameters": [],
		"includes": [], "operation": "", "entries": 0,
	},
	"context": {"patient": "", "encounter": "", "ehr": "main", "tenant": "main"},
	"network": {"source": "192.0.2.10"},
	"time": {"weekday": "monday", "hour": 9},
	"break_glass": {"reason": ""},
}

# The call with what changes says laid over it.
changed(changes) := object.union(call, changes)

with_roles(roles, changes) := object.union(changed({"caller": {"roles": roles}}), changes)
