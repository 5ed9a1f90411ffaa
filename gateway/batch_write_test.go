package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// writes posts a batch of these, and returns its entries.
func (w *world) writes(token string, steps []step, headers ...string) []gjson.Result {
	w.t.Helper()
	r := w.bundle(token, w.steps("batch", steps), headers...)
	if r.status != 200 || r.err != nil || !gjson.ValidBytes(r.body) {
		w.t.Fatalf("%d %v %s", r.status, r.err, r.body)
	}
	return r.json().Get("entry").Array()
}

// TestBatchOfWrites writes by entries: each is a write like the one alone, with its own intent, and one that is
// refused leaves the others.
func TestBatchOfWrites(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	patch := `[{"op":"replace","path":"/status","value":"arrived"}]`
	had := len(w.sandbox.IDs("Communication"))
	entries := w.writes(token, []step{
		{method: "POST", url: "Communication", name: urnA, body: reminder(patient, "")},
		{method: "POST", url: "Communication", body: reminder(patient, urnA)}, // a batch's entries make nothing for one another
		{method: "PATCH", url: "Appointment/" + id, match: tag, body: patch},
		{method: "PATCH", url: "Appointment/" + id, match: tag, body: patch},
		{method: "DELETE", url: "Appointment/" + id, match: tag},
		{method: "PUT", url: "Appointment/no-such-id", match: tag, body: `{"resourceType":"Appointment","id":"no-such-id","status":"booked"}`},
		{method: "GET", url: "Appointment/" + id},
	}, "X-Request-Id", "writes")
	var got []string
	for _, e := range entries {
		got = append(got, ends(e))
	}
	if strings.Join(got, ", ") != "201, 422 unknown-reference, 200, 412 version-conflict, 403 policy-interaction, 404 no-such-target, 200" {
		t.Fatalf("%v", got)
	}
	made := entries[0].Get("resource.id").String()
	if loc := entries[0].Get("response.location").String(); !strings.HasPrefix(loc, w.fhir+"/Communication/"+made+"/_history/") {
		t.Errorf("location %q", loc)
	}
	if entries[2].Get("resource").Raw != entries[6].Get("resource").Raw || entries[2].Get("response.etag").String() == tag || entries[6].Get("resource.status").String() != "arrived" {
		t.Errorf("patched %s, read %s", entries[2].Raw, entries[6].Raw)
	}
	if ehr.asked() != 2 || len(w.sandbox.IDs("Communication")) != had+1 {
		t.Errorf("the EHR was asked to write %d times", ehr.asked())
	}
	recs := w.records("writes")
	if got := kinds(recs); got != "1 intent 0, 1 access 201, 2 refusal 422 unknown-reference, 3 intent 0, 3 access 200, 4 refusal 412 version-conflict, 5 refusal 403 policy-interaction, 6 refusal 404 no-such-target, 7 access 200, access 200" {
		t.Errorf("records: %s", got)
	}
	if !slices.Equal(recs[3].Written, []string{"Appointment.status"}) {
		t.Errorf("intent %+v", recs[3])
	}
	w.verify()
}

// TestBatchPrefers has the client prefer less than the resource: an outcome is the entry's outcome, and
// nothing is nothing.
func TestBatchPrefers(t *testing.T) {
	w, _, token := newWriting(t)
	_, _, patient := w.booked(token)
	for prefer, want := range map[string]string{"return=minimal": "", "return=OperationOutcome": "informational", "return=representation": "resource"} {
		one := w.writes(token, []step{{method: "POST", url: "Communication", body: reminder(patient, "")}}, "Prefer", prefer)[0]
		got := one.Get("response.outcome.issue.0.code").String()
		if one.Get("resource").Exists() {
			got = "resource"
		}
		if got != want || ends(one) != "201" || one.Get("response.location").String() == "" {
			t.Errorf("%s: %s", prefer, one.Raw)
		}
	}
}

// TestBatchWriteFails has the EHR die under one write of a batch: that one is not known, and the others go on.
func TestBatchWriteFails(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	ehr.first(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	entries := w.writes(token, []step{
		{method: "PATCH", url: "Appointment/" + id, match: tag, body: `[{"op":"replace","path":"/status","value":"arrived"}]`},
		{method: "POST", url: "Communication", body: reminder(patient, "")},
	}, "X-Request-Id", "half")
	if ends(entries[0]) != "502 write-unknown" || ends(entries[1]) != "201" || ehr.asked() != 2 {
		t.Errorf("%s %s, the EHR was asked %d times", entries[0].Raw, entries[1].Raw, ehr.asked())
	}
	recs := w.records("half")
	if got := kinds(recs); got != "1 intent 0, 1 refusal 502 write-unknown, 2 intent 0, 2 access 201, access 200" || len(recs[1].Written) == 0 {
		t.Errorf("records: %s", got)
	}
}
