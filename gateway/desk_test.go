package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestWhy has clients say under which ticket and for what purpose they call: the token's claims count, a trusted client's headers before
// them, and anyone's ticket where its token names none. Roles are the token's alone.
func TestWhy(t *testing.T) {
	w := newWorld(t) // demo-scheduling is trusted, demo-access is not
	type why struct{ ticket, category, purpose string }
	for _, c := range []struct {
		name, client string
		claims       map[string]any
		headers      []string
		want         why
		code         string
	}{
		{"claims", "demo-access", nil, nil, why{"DEMO-1001", "access", "HOPERAT"}, ""},
		{"claims in other words", "demo-access", map[string]any{"ticket": 4711, "ticket_category": "login", "purpose_of_use": []string{"PATADMIN"}}, nil, why{"4711", "login", "PATADMIN"}, ""},
		{"the same by header", "demo-access", nil, []string{"Ticket-Id", "DEMO-1001", "Ticket-Category", "access", "Purpose-Of-Use", "HOPERAT"}, why{"DEMO-1001", "access", "HOPERAT"}, ""},
		{"a ticket where the token has none", "demo-access", map[string]any{"ticket": nil}, []string{"Ticket-Id", "INC-9"}, why{"INC-9", "access", "HOPERAT"}, ""},
		{"another ticket", "demo-access", nil, []string{"Ticket-Id", "INC-9"}, why{}, "header-untrusted"},
		{"a category where the token has none", "demo-access", map[string]any{"ticket_category": nil}, []string{"Ticket-Category", "login"}, why{}, "header-untrusted"},
		{"a purpose where the token has none", "demo-access", map[string]any{"purpose_of_use": nil}, []string{"Purpose-Of-Use", "HOPERAT"}, why{}, "header-untrusted"},
		{"trusted, claims", "demo-scheduling", nil, nil, why{"DEMO-1002", "scheduling", "PATADMIN"}, ""},
		{"trusted, before its claims", "demo-scheduling", nil, []string{"Ticket-Id", "INC-9", "Ticket-Category", "referral", "Purpose-Of-Use", "PATRQT"}, why{"INC-9", "referral", "PATRQT"}, ""},
		{"trusted, one of them", "demo-scheduling", nil, []string{"Purpose-Of-Use", "HOPERAT"}, why{"DEMO-1002", "scheduling", "HOPERAT"}, ""},
		{"trusted, twice", "demo-scheduling", nil, []string{"Ticket-Id", "INC-9", "Ticket-Id", "INC-8"}, why{}, "header-malformed"},
		{"trusted, not an id", "demo-scheduling", nil, []string{"Ticket-Id", "Mrs Quillfeather called"}, why{}, "header-malformed"},
		{"claims of two tickets", "demo-access", map[string]any{"ticket": []string{"a", "b"}}, nil, why{}, "token-claims"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.get(w.token(c.client, demo.TokenOptions{Claims: c.claims}), "/Practitioner?_count=1", c.headers...)
			rec := w.record(r)
			if r.code() != c.code || (r.status == 200) != (c.code == "") || rec.Code != c.code {
				t.Fatalf("%d %s, record %+v", r.status, r.body, rec)
			}
			if got := (why{rec.Ticket.ID, rec.Ticket.Category, rec.Purpose}); got != c.want {
				t.Errorf("recorded %+v, want %+v", got, c.want)
			}
		})
	}
	// No header makes a role.
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{Claims: map[string]any{"roles": nil}}), "/Practitioner", "Roles", "helpdesk-scheduling", "X-Roles", "helpdesk-scheduling")
	if rec := w.record(r); r.code() != "policy-role" || len(rec.Actor.Roles) != 0 {
		t.Errorf("roles by header: %d %s", r.status, r.body)
	}
	// Groups count as roles where the configuration says so, found by a path.
	w = newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "    audiences:", "    claims: {roles: realm_access.roles, groups: groups}\n    audiences:", 1)
	}))
	token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"realm_access": map[string]any{"roles": []string{"other"}}, "groups": []string{"helpdesk-access"}}})
	r = w.get(token, "/Practitioner?_count=1")
	if rec := w.record(r); r.status != 200 || !slices.Equal(rec.Actor.Roles, []string{"other", "helpdesk-access"}) {
		t.Errorf("groups: %d %s, %q", r.status, r.body, rec.Actor.Roles)
	}
}
