package gateway_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// echo is a policy that refuses every call with a hash of all that it was told.
const echo = `package halfdoor

# METADATA
# entrypoint: true
decision := {"allow": false, "purpose": "TOLD", "reason": {"code": "policy-told", "text": crypto.sha256(json.marshal(told))}}

told := input if input.context.patient == ""

told := json.patch(input, [{"op": "replace", "path": "/context/patient", "value": "whom"}]) if input.context.patient != ""
`

// TestRecorded rebuilds what the policy was told from the record of the call.
func TestRecorded(t *testing.T) {
	abroad := func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) {
			r.Now = func() time.Time { return time.Now().In(time.FixedZone("", 11*3600+1800)) }
		}
	}
	w := newWorld(t, abroad, withConfig(func(y string) string { return y + "policy: {bundle: bundle}\n" }), withBundle(map[string]string{"halfdoor/decision.rego": echo}))
	engine, err := gateway.Policies(filepath.Join(w.dir, "bundle"))
	check(t, err)
	desk, app, bare := w.token("demo-scheduling", demo.TokenOptions{}), w.token("demo-app", demo.TokenOptions{}), w.token("demo-billing", demo.TokenOptions{Claims: map[string]any{"roles": nil, "purpose_of_use": nil, "purpose": nil}})
	id := w.sealer("demo-scheduling")("Patient", w.sandbox.IDs("Patient")[2])

	same := func(t *testing.T, r *accesslog.Record, lacks ...string) {
		t.Helper()
		if !gateway.Judged(r) {
			t.Fatalf("it did not come to the policy: %+v", r)
		}
		in, lacking := gateway.Recorded(r)
		if !slices.Equal(lacking, lacks) {
			t.Errorf("the record lacks %v, want %v", lacking, lacks)
		}
		d, err := engine.Decide(context.Background(), in)
		check(t, err)
		if r.Stated == nil || r.Purpose != "TOLD" || r.Clock == "" {
			t.Errorf("the record has the purpose %s, stated as %v, at %q", r.Purpose, r.Stated, r.Clock)
		}
		if d.Reason.Code != r.Policy.Code || d.Reason.Text != r.Reason {
			t.Errorf("the policy was told something else: %+v", in)
		}
	}
	for name, tt := range map[string]struct {
		reply reply
		lacks []string
	}{
		"read":        {w.get(desk, "/Patient/"+id, "Ticket-Id", "INC-1", "Ticket-Category", "referral"), nil},
		"purpose":     {w.get(desk, "/Patient/"+id+"/_history", "Ticket-Id", "INC-1", "Purpose-Of-Use", "PATRQT"), nil},
		"search":      {w.get(desk, "/Appointment?status=booked&date=ge2026-01-01&date=lt2027-01-01&_include=Appointment:actor&_include:iterate=Slot:schedule&_revinclude=Task:focus&actor:Patient.identifier=1&_sort=date&_count=3"), nil},
		"types":       {w.get(desk, "/?_type=Slot,Appointment&_lastUpdated=ge2026-01-01"), nil},
		"compartment": {w.get(desk, "/Patient/"+id+"/Appointment?status=booked"), nil},
		"no roles":    {w.get(bare, "/Coverage?status=active"), nil},
		"launched":    {w.get(app, "/Appointment"), []string{"input.context.patient"}},
		"match":       {w.post(w.token("demo-access", demo.TokenOptions{}), "/Patient/$match", matching(`"name":[{"family":"Quillfeather"}],"birthDate":"1952-07-12"`)), nil},
		"emergency":   {w.get(desk, "/Slot?status=free", "Break-Glass", "recorded"), []string{"input.break_glass.reason"}},
		"create":      {w.put("POST", desk, "/Communication", `{"resourceType":"Communication","status":"completed"}`), nil},
		"conditional": {w.put("PUT", desk, "/Appointment?identifier=1", `{"resourceType":"Appointment","status":"booked"}`), nil},
	} {
		t.Run(name, func(t *testing.T) { same(t, w.record(tt.reply), tt.lacks...) })
	}
	t.Run("batch", func(t *testing.T) {
		r, entries := w.batch(desk, "GET Appointment?status=booked", "GET Slot?status=free")
		for _, e := range w.records(r.header.Get("X-Request-Id")) {
			if e.Request.Among > 0 {
				same(t, e)
				entries = entries[1:]
			}
		}
		if len(entries) != 0 {
			t.Errorf("%d entries have no record", len(entries))
		}
	})
	t.Run("dpop", func(t *testing.T) {
		p := newProver(t)
		token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"cnf": p.cnf()}})
		r := w.record(w.get("", "/Practitioner", "Authorization", "DPoP "+token, "DPoP", p.proof("GET", w.fhir+"/Practitioner", token, nil)))
		if same(t, r); r.Actor.Binding != "dpop" {
			t.Errorf("bound by %q", r.Actor.Binding)
		}
	})
	t.Run("not judged", func(t *testing.T) {
		if r := w.record(w.get("", "/Slot")); gateway.Judged(r) {
			t.Errorf("%+v", r)
		}
	})
}
