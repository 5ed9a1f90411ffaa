package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestRefusedWritesTell asks what is in records by writes that are refused: a failed test of a patch says what is not
// there. Each such refusal names whom it tells of, and counts towards the quota like a read.
func TestRefusedWritesTell(t *testing.T) {
	w, spy, _ := newWriting(t, limited("patients_per_hour: 2"))
	one := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}})
	// What this agent was told of yesterday, it can ask about by the tokens that it was given.
	names, patients := map[string]string{}, []string{}
	for _, id := range w.sandbox.IDs("Appointment") {
		body, _ := w.sandbox.Resource("Appointment", id)
		_, patient, _ := strings.Cut(gjson.GetBytes(body, `participant.#(actor.reference%"Patient*").actor.reference`).String(), "Patient/")
		patient = "Patient/" + w.sealed("Patient", patient)
		if gjson.GetBytes(body, "status").String() != "booked" || gjson.GetBytes(body, "meta.security").Exists() || names[patient] != "" {
			continue
		}
		names[patient], patients = w.sealed("Appointment", id), append(patients, patient)
	}
	ask := func(patient string) reply {
		return w.put("PATCH", one, "/Appointment/"+names[patient], `[{"op":"test","path":"/status","value":"arrived"}]`)
	}
	for _, patient := range patients[:2] {
		r := ask(patient)
		if r.status != 409 || r.code() != "patch-test" {
			t.Fatalf("%d %s", r.status, r.body)
		}
		rec := w.record(r)
		if rec.Kind != accesslog.KindRefusal || len(rec.Patients) != 1 || rec.Written != nil ||
			!slices.Contains(rec.Subjects, patient) || !slices.Contains(rec.Subjects, "Appointment/"+names[patient]) {
			t.Errorf("record %+v", rec)
		}
	}
	third := ask(patients[2])
	if third.status != 429 || third.code() != "patient-quota" {
		t.Errorf("a third patient: %d %s", third.status, third.body)
	}
	if rec := w.record(third); rec.Code != "patient-quota" || rec.Subjects != nil || rec.Patients != nil {
		t.Errorf("record %+v", rec)
	}
	if r := w.put("PATCH", one, "/Appointment?_id="+names[patients[2]], `[{"op":"test","path":"/status","value":"arrived"}]`); r.code() != "patient-quota" {
		t.Errorf("by a condition: %d %s", r.status, r.body)
	}
	if r := ask(patients[0]); r.status != 409 {
		t.Errorf("one who is known already: %d %s", r.status, r.body)
	}
	if spy.asked() != 0 {
		t.Error("something was written")
	}
}

// TestMovedFromAPatient changes whose a record is: its intent names the patient whom it leaves as well as the one whom
// it goes to.
func TestMovedFromAPatient(t *testing.T) {
	w, _, token := newWriting(t, withEverything...)
	var from, to string
	for patient := range 2 {
		id := w.get(token, "/Patient?"+identifier(w.sandbox, patient)).json().Get("entry.0.resource.id").String()
		from, to = to, "Patient/"+id
	}
	body := strings.Replace(note, "}", `,"subject":{"reference":"`+from+`"}}`, 1)
	made := w.put("POST", token, "/Communication", body)
	if made.status != 201 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	moved := w.put("PUT", token, "/Communication/"+made.json().Get("id").String(), strings.Replace(string(made.body), strings.TrimPrefix(from, "Patient/"), strings.TrimPrefix(to, "Patient/"), 1))
	if moved.status != 200 || moved.json().Get("subject.reference").String() != w.fhir+"/"+to && moved.json().Get("subject.reference").String() != to {
		t.Fatalf("%d %s", moved.status, moved.body)
	}
	intent, end := w.intent(moved)
	if !slices.Contains(intent.Subjects, from) || !slices.Contains(intent.Subjects, to) || len(intent.Patients) != 2 {
		t.Errorf("intent %+v", intent)
	}
	if slices.Contains(end.Subjects, from) || !slices.Contains(end.Subjects, to) {
		t.Errorf("end %+v", end)
	}
}

// TestConditionalUpdateOfAVersion means a version of a record that no longer meets its condition: nothing is created in
// its place.
func TestConditionalUpdateOfAVersion(t *testing.T) {
	w, spy, token := newWriting(t, withEverything...)
	r := w.put("PUT", token, "/Communication?sent=2026-06-15T10:00:00Z", note, "If-Match", `W/"1"`)
	if r.status != 412 || r.code() != "version-conflict" || spy.asked() != 0 {
		t.Errorf("%d %s, asked %d times", r.status, r.body, spy.asked())
	}
	if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "version-conflict" {
		t.Errorf("record %+v", rec)
	}
}
