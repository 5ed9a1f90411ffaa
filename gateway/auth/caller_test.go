package auth_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

func TestCaller(t *testing.T) {
	iss := newIssuer(t, rsaKey("rsa"))
	cfg := iss.config()
	cfg.Claims = auth.Claims{Roles: `realm_access.roles`, Ticket: `https://desk\.example/ticket.id`, Groups: `https://desk\.example/groups`}
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})
	for _, c := range []struct {
		name   string
		claims claim
		want   func(*auth.Caller)
	}{
		{"plain", nil, func(*auth.Caller) {}},
		{"launch context", claim{"patient": "p1", "encounter": "e1", "fhirUser": "Practitioner/7"}, func(c *auth.Caller) {
			c.Grant.Patient, c.Grant.Encounter, c.Grant.FHIRUser = "p1", "e1", "Practitioner/7"
		}},
		{"scope as an array", claim{"scope": []string{"user/Slot.s", "user/Patient.r"}}, func(c *auth.Caller) {
			c.Grant.Scopes = smart.ParseScopes("user/Slot.s user/Patient.r")
		}},
		{"scp as a string", claim{"scope": nil, "scp": "user/Slot.s user/Patient.r"}, func(c *auth.Caller) {
			c.Grant.Scopes = smart.ParseScopes("user/Slot.s user/Patient.r")
		}},
		{"scp as an array", claim{"scope": nil, "scp": []string{"user/Slot.s"}}, func(c *auth.Caller) {
			c.Grant.Scopes = smart.ParseScopes("user/Slot.s")
		}},
		{"scope, not scp", claim{"scope": "", "scp": "user/*.rs"}, func(c *auth.Caller) { c.Grant.Scopes = nil }},
		{"no scopes", claim{"scope": nil}, func(c *auth.Caller) { c.Grant.Scopes = nil }},
		{"client_id before azp", claim{"azp": "other"}, func(*auth.Caller) {}},
		{"roles", claim{"realm_access": claim{"roles": []string{"a", "b"}}, "roles": "c"}, func(c *auth.Caller) { c.Roles = []string{"a", "b"} }},
		{"one role", claim{"realm_access": claim{"roles": "a"}}, func(c *auth.Caller) { c.Roles = []string{"a"} }},
		{"roles null", claim{"realm_access": claim{"roles": nil}}, func(*auth.Caller) {}},
		{"ticket", claim{"https://desk.example/ticket": claim{"id": "T-1"}, "ticket_category": "access", "purpose_of_use": "HOPERAT"}, func(c *auth.Caller) {
			c.TicketID, c.TicketCategory, c.Purpose = "T-1", "access", "HOPERAT"
		}},
		{"ticket by number", claim{"https://desk.example/ticket": claim{"id": 17}}, func(c *auth.Caller) { c.TicketID = "17" }},
		{"groups are roles", claim{"realm_access": claim{"roles": "a"}, "https://desk.example/groups": []string{"g", "h"}}, func(c *auth.Caller) {
			c.Roles = []string{"a", "g", "h"}
		}},
		{"no jti", claim{"jti": nil}, func(c *auth.Caller) { c.TokenID = "" }},
		{"time with fractions", claim{"exp": float64(start.Add(time.Minute).Unix()) + 0.9}, func(c *auth.Caller) {
			c.Expires = time.Unix(start.Add(time.Minute).Unix(), 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := &auth.Caller{
				Subject: "agent-7", Issuer: iss.URL, ClientID: "desk", TokenID: "t1",
				Grant:   smart.Grant{Scopes: smart.ParseScopes("user/Patient.rs")},
				Expires: time.Unix(start.Add(time.Hour).Unix(), 0),
			}
			c.want(want)
			got, err := a.Authenticate(t.Context(), auth.Request{Authorization: []string{"Bearer " + sign(t, rsaKey("rsa"), "", iss.claims(c.claims))}})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

// Some issuers nest the launch context; what stands elsewhere then is no launch context.
func TestNestedLaunchContext(t *testing.T) {
	iss := newIssuer(t, rsaKey("rsa"))
	cfg := iss.config()
	cfg.Claims = auth.Claims{Patient: "launch_response.patient", Encounter: "ext.encounter", FHIRUser: "ext.fhir_user"}
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})
	nested := claim{"launch_response": claim{"patient": "p1"}, "ext": claim{"encounter": "e1", "fhir_user": "Practitioner/7"}}
	got := caller(t, a, sign(t, rsaKey("rsa"), "", iss.claims(nested)))
	if g := got.Grant; g.Patient != "p1" || g.Encounter != "e1" || g.FHIRUser != "Practitioner/7" {
		t.Errorf("grant %+v", g)
	}
	flat := claim{"patient": "p2", "encounter": "e2", "fhirUser": "Practitioner/8"}
	got = caller(t, a, sign(t, rsaKey("rsa"), "", iss.claims(flat)))
	if g := got.Grant; g.Patient+g.Encounter+g.FHIRUser != "" {
		t.Errorf("grant %+v", g)
	}
	wrong := claim{"launch_response": claim{"patient": claim{"reference": "Patient/p1"}}}
	if got := code(t, a, "Bearer "+sign(t, rsaKey("rsa"), "", iss.claims(wrong))); got != auth.CodeClaims {
		t.Errorf("a patient of the wrong kind: %q", got)
	}
}
