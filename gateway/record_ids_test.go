package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestRecordedIDs sends as ids what tells of somebody. Nothing of it is in the log; a patient's own id is there as the hash
// that names the patient.
func TestRecordedIDs(t *testing.T) {
	w := newWorld(t)
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	hasher, err := accesslog.NewHasher(cfg.AccessLog.PatientKey.Bytes())
	check(t, err)
	raw := w.sandbox.IDs("Patient")[1]
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"user/*.rs"}, Claims: map[string]any{"fhirUser": "https://ehr.example/fhir/Patient/" + raw, "patient": raw}})
	made := w.sealer("demo-access")("Patient", raw)
	asked := map[string]bool{}
	for _, tt := range []struct{ path, id, version string }{
		{"/Patient/" + raw, hasher.Patient("main", raw), ""},
		{"/Patient/" + made, made, ""},
		{"/Patient/" + made + "/_history/1", made, "1"},
		{"/Patient/" + raw + "/_history/" + raw, hasher.Patient("main", raw), raw},
		{"/Patient/John.Smith-HIV", hasher.Patient("main", "John.Smith-HIV"), ""},
		{"/Patient/123-45-6789/_history/Diabetes", hasher.Patient("main", "123-45-6789"), hasher.Hash("Diabetes")},
		{"/Patient/" + made + "/_history/123456789", made, hasher.Hash("123456789")},
		{"/Practitioner/John.Smith-HIV", hasher.Hash("John.Smith-HIV"), ""},
		{"/Patient/" + raw + "/Appointment", "Patient/" + hasher.Patient("main", raw), ""},
		{"/Patient/" + made + "/Appointment", "Patient/" + made, ""},
		{"/Practitioner/John.Smith-HIV/Appointment", "Practitioner/" + hasher.Hash("John.Smith-HIV"), ""},
	} {
		r := w.get(token, tt.path)
		rec := w.record(r)
		if strings.HasPrefix(tt.path, "/Patient/"+raw) {
			asked[rec.RequestID] = true
		}
		if rec.Request.ID != tt.id || rec.Request.Version != tt.version {
			t.Errorf("%s: recorded as %q, version %q", tt.path, rec.Request.ID, rec.Request.Version)
		}
		if rec.Actor.FHIRUser != "Patient/"+hasher.Patient("main", raw) {
			t.Errorf("%s: the user is %q", tt.path, rec.Actor.FHIRUser)
		}
		if _, lacks := gateway.Recorded(rec); len(lacks) != 2 || lacks[0] != "input.caller.fhir_user" {
			t.Errorf("%s: it lacks %v", tt.path, lacks)
		}
		line, err := json.Marshal(rec)
		check(t, err)
		for _, clear := range []string{raw, "Smith", "Diabetes", "6789"} {
			if strings.Contains(string(line), clear) && tt.version != clear {
				t.Errorf("%s: %s", tt.path, line)
			}
		}
	}
	// Who asked for the patient is found by the patient's hash, also where nothing was told.
	for r, err := range accesslog.Read(w.made.LogDir, accesslog.Query{Patient: hasher.Patient("main", raw)}) {
		check(t, err)
		delete(asked, r.RequestID)
	}
	if len(asked) > 0 {
		t.Errorf("%d calls for the patient are not found", len(asked))
	}
	for user, want := range map[string]string{
		"Practitioner/1": "Practitioner/1", "RelatedPerson/1": "RelatedPerson/" + hasher.Hash("1"), "Person/1": "Person/" + hasher.Hash("1"), "": "",
	} {
		token := w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"fhirUser": user}})
		if rec := w.record(w.get(token, "/Slot/1")); rec.Actor.FHIRUser != want {
			t.Errorf("%q is recorded as %q", user, rec.Actor.FHIRUser)
		}
	}
}
