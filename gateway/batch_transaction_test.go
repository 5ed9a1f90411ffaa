package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// step is one entry of a transaction.
type step struct {
	method, url, name, match, absent, body string
}

// transact posts a transaction of these.
func (w *world) transact(token string, steps []step, headers ...string) reply {
	w.t.Helper()
	return w.bundle(token, w.steps("transaction", steps), headers...)
}

// steps is the Bundle of a type that asks for these.
func (w *world) steps(kind string, steps []step) string {
	w.t.Helper()
	var all []string
	for _, s := range steps {
		request := map[string]string{"method": s.method, "url": s.url}
		if s.match != "" {
			request["ifMatch"] = s.match
		}
		if s.absent != "" {
			request["ifNoneExist"] = s.absent
		}
		text, err := json.Marshal(request)
		check(w.t, err)
		entry := `{"request":` + string(text)
		if s.name != "" {
			entry += `,"fullUrl":"` + s.name + `"`
		}
		if s.method == "PATCH" {
			entry += `,"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(s.body)) + `"}`
		} else if s.body != "" {
			entry += `,"resource":` + s.body
		}
		all = append(all, entry+"}")
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(all, ",") + "]}"
}

const (
	urnA = "urn:uuid:8f3b9a52-61d1-4d0e-9c38-0c0f3f5b1a01"
	urnB = "urn:uuid:8f3b9a52-61d1-4d0e-9c38-0c0f3f5b1a02"
)

// booked is an appointment by the scheduling desk's token, with its version's tag and its patient.
func (w *world) booked(token string) (id, tag, patient string) {
	w.t.Helper()
	found := w.get(token, "/Appointment?status=booked&_count=1").json().Get("entry.0.resource")
	r := w.get(token, "/Appointment/"+found.Get("id").String())
	for _, ref := range r.json().Get("participant.#.actor.reference").Array() {
		if strings.HasPrefix(ref.String(), "Patient/") {
			patient = ref.String()
		}
	}
	if r.header.Get("ETag") == "" || patient == "" {
		w.t.Fatalf("%d %s", r.status, r.body)
	}
	return found.Get("id").String(), r.header.Get("ETag"), patient
}

func reminder(patient, basedOn string) string {
	if basedOn != "" {
		basedOn = `,"basedOn":[{"reference":"` + basedOn + `"}]`
	}
	return `{"resourceType":"Communication","status":"completed","sent":"2026-05-12T08:00:00Z","subject":{"reference":"` + patient + `"}` + basedOn + `}`
}

// TestTransaction makes two reminders, one about the other, moves an appointment and reads it, all at
// once: the EHR is sent one Bundle of the gateway's own, and each entry is answered and recorded like a call.
func TestTransaction(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	realID, before := w.real("Appointment", id)
	had := len(w.sandbox.IDs("Communication"))
	r := w.transact(token, []step{
		{method: "POST", url: "Communication", name: urnA, body: reminder(patient, "")},
		{method: "POST", url: "Communication", name: urnB, body: reminder(patient, urnA)},
		{method: "PATCH", url: "Appointment/" + id, match: tag, body: `[{"op":"replace","path":"/status","value":"arrived"}]`},
		{method: "GET", url: "Appointment/" + id},
		{method: "GET", url: "Appointment?_id=" + id},
		{method: "GET", url: "Appointment?_id=no-such-id"},
	})
	entries := r.json().Get("entry").Array()
	if r.status != 200 || r.err != nil || r.json().Get("type").String() != "transaction-response" || len(entries) != 6 {
		t.Fatalf("%d %v %s", r.status, r.err, r.body)
	}
	for i, want := range []string{"201", "201", "200", "200", "200", "200"} {
		if ends(entries[i]) != want {
			t.Errorf("entry %d: %s", i+1, entries[i].Raw)
		}
	}

	// What the EHR was sent.
	if ehr.asked() != 1 {
		t.Fatalf("the EHR was asked to write %d times", ehr.asked())
	}
	_, sent := ehr.last()
	bundle := gjson.Parse(sent)
	if bundle.Get("type").String() != "transaction" || strings.Contains(sent, id) || strings.Contains(sent, patient) {
		t.Errorf("the EHR was sent %s", sent)
	}
	if got := bundle.Get("entry.#.request.method").String(); got != `["POST","POST","PUT","GET","GET"]` {
		t.Errorf("methods %s", got)
	}
	if bundle.Get("entry.2.request.ifMatch").String() == "" || bundle.Get("entry.2.request.url").String() != "Appointment/"+realID ||
		bundle.Get("entry.0.fullUrl").String() != urnA || bundle.Get("entry.1.resource.basedOn.0.reference").String() != urnA {
		t.Errorf("the EHR was sent %s", sent)
	}

	// What became of it.
	made := w.sandbox.IDs("Communication")
	if len(made) != had+2 {
		t.Fatalf("%d reminders were made", len(made)-had)
	}
	_, after := w.real("Appointment", id)
	if gjson.GetBytes(after, "status").String() != "arrived" || without(t, before, "status", "meta") != without(t, after, "status", "meta") {
		t.Errorf("was %s\nis  %s", before, after)
	}
	first := entries[0].Get("resource.id").String()
	if loc := entries[0].Get("response.location").String(); !strings.HasPrefix(loc, w.fhir+"/Communication/"+first+"/_history/") {
		t.Errorf("location %q of %s", loc, first)
	}
	if got := entries[1].Get("resource.basedOn.0.reference").String(); got != "Communication/"+first {
		t.Errorf("the second is based on %q, and not on %q", got, first)
	}
	if alone := w.get(token, "/Appointment/"+id); string(alone.body) != entries[3].Get("resource").Raw || alone.header.Get("ETag") != entries[3].Get("response.etag").String() ||
		entries[2].Get("response.etag").String() != alone.header.Get("ETag") || entries[2].Get("resource").Raw != string(alone.body) {
		t.Errorf("the read says %s, alone %s", entries[3].Raw, alone.body)
	}
	if n := len(entries[4].Get("resource.entry").Array()); n != 1 || entries[5].Get("resource.entry").Exists() {
		t.Errorf("searches: %s %s", entries[4].Raw, entries[5].Raw)
	}

	// What is recorded.
	recs := w.records(r.header.Get("X-Request-Id"))
	if got := kinds(recs); got != "1 intent 0, 2 intent 0, 3 intent 0, 1 access 201, 2 access 201, 3 access 200, 4 access 200, 5 access 200, 6 access 200, access 200" {
		t.Fatalf("records: %s", got)
	}
	if !slices.Equal(recs[2].Written, []string{"Appointment.status"}) || len(recs[2].Patients) != 1 || !recs[2].More {
		t.Errorf("intent of the patch: %+v", recs[2])
	}
	if whole := recs[9]; whole.Request.Interaction != "transaction" || whole.Request.Entries != 6 {
		t.Errorf("the whole: %+v", whole)
	}
	w.verify()
}

// TestTransactionRefused has one entry that would not be served alone: nothing is written, the EHR is sent
// nothing, the refusal names the entry, and each entry has its record.
func TestTransactionRefused(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	billing := w.token("demo-billing", demo.TokenOptions{})
	foreign := w.get(billing, "/Encounter?_count=1").json().Get("entry.0.resource.id").String()
	good := step{method: "POST", url: "Communication", name: urnA, body: reminder(patient, "")}
	patch := `[{"op":"replace","path":"/status","value":"arrived"}]`
	for name, c := range map[string]struct {
		bad  step
		want string
	}{
		"a type of another desk":             {step{method: "GET", url: "Coverage"}, "403 policy-type"},
		"an interaction that is not allowed": {step{method: "DELETE", url: "Appointment/" + id, match: tag}, "403 policy-interaction"},
		"a missing resource":                 {step{method: "GET", url: "Appointment/no-such-id"}, "404 not-found"},
		"a raw id":                           {step{method: "GET", url: "Appointment/" + w.sandbox.IDs("Appointment")[2]}, "404 not-found"},
		"another client's token":             {step{method: "GET", url: "Encounter/" + foreign}, "404 not-found"},
		"a patch of what is missing":         {step{method: "PATCH", url: "Appointment/no-such-id", match: tag, body: patch}, "404 not-found"},
		"an update of what is missing":       {step{method: "PUT", url: "Appointment/no-such-id", match: tag, body: `{"resourceType":"Appointment","id":"no-such-id","status":"booked"}`}, "404 no-such-target"},
		"a hidden search":                    {step{method: "GET", url: "Appointment?_sort=patient"}, "403 search-hidden"},
		"an old version":                     {step{method: "PATCH", url: "Appointment/" + id, match: `W/"0"`, body: patch}, "412 version-conflict"},
		"no version":                         {step{method: "PUT", url: "Appointment/" + id, body: `{"resourceType":"Appointment","id":"` + id + `","status":"arrived"}`}, "428 version-required"},
		"a hidden element":                   {step{method: "PATCH", url: "Appointment/" + id, match: tag, body: `[{"op":"add","path":"/comment","value":"x"}]`}, "422 not-writable"},
		"a reference to another's patient":   {step{method: "POST", url: "Communication", body: reminder("Patient/no-such-id", "")}, "422 unknown-reference"},
		"a conditional reference":            {step{method: "POST", url: "Communication", body: reminder("Patient?identifier=1", "")}, "422 unknown-reference"},
		"a reference to no entry":            {step{method: "POST", url: "Communication", body: reminder(patient, urnB)}, "422 unknown-reference"},
		"an absolute reference to the EHR":   {step{method: "POST", url: "Communication", body: reminder(w.ehrURL+"/Patient/"+w.sandbox.IDs("Patient")[0], "")}, "422 unknown-reference"},
		"an operation":                       {step{method: "GET", url: "Appointment/$everything"}, "403 not-supported"},
		"an absolute address":                {step{method: "GET", url: "https://elsewhere.example/Appointment"}, "400 malformed-body"},
		"a batch":                            {step{method: "POST", url: ""}, "400 malformed-body"},
		"the same fullUrl":                   {good, "400 malformed-body"},
		"a type of FHIR's that is not":       {step{method: "GET", url: "Nonsense/1"}, "404 unknown-type"},
	} {
		before, had := w.ehr.Requests(), len(w.sandbox.IDs("Communication"))
		r := w.transact(token, []step{good, {method: "GET", url: "Location?_count=1"}, c.bad, {method: "GET", url: "Location?_count=2"}}, "X-Request-Id", strings.ReplaceAll(name, " ", "-")[:min(len(name), 40)])
		if got := fmt.Sprint(r.status, " ", r.code()); got != c.want {
			t.Errorf("%s: %s, want %s: %s", name, got, c.want, r.body)
			continue
		}
		if at := r.json().Get("issue.0.expression.0").String(); at != "Bundle.entry[2]" {
			t.Errorf("%s: the refusal names %q", name, at)
		}
		if ehr.asked() != 0 || len(w.sandbox.IDs("Communication")) != had {
			t.Fatalf("%s: the EHR was asked to write", name)
		}
		if asked := w.ehr.Requests() - before; asked > 1 {
			t.Errorf("%s: the EHR was asked %d times", name, asked)
		}
		recs := w.records(r.header.Get("X-Request-Id"))
		whole := recs[len(recs)-1]
		if whole.Kind != accesslog.KindRefusal || whole.Code != r.code() || whole.Status != r.status || whole.Request.Interaction != "transaction" {
			t.Errorf("%s: record %+v", name, whole)
		}
		if len(recs) == 1 { // not understood: there are no entries
			continue
		}
		if got, want := kinds(recs), fmt.Sprintf("1 refusal 424 transaction-refused, 2 refusal 424 transaction-refused, 3 refusal %s, 4 refusal 424 transaction-refused, refusal %[1]s", c.want); got != want {
			t.Errorf("%s: records %s", name, got)
		}
	}
	// Who may not know of a resource cannot tell it from a missing one.
	same := func(url string) string {
		return string(w.transact(token, []step{{method: "GET", url: url}}, "X-Request-Id", "same", "X-Correlation-Id", "same").body)
	}
	if a, b, c := same("Appointment/"+w.sandbox.IDs("Appointment")[2]), same("Appointment/no-such-id"), same("Encounter/"+foreign); a != b || b != c {
		t.Errorf("%s\n%s\n%s", a, b, c)
	}
	w.verify()
}

// TestTransactionFindsWhatIsThere makes a reminder under If-None-Exist that is there already: it is not made
// again, and what refers to its entry refers to it. A second try of all does nothing more.
func TestTransactionFindsWhatIsThere(t *testing.T) {
	w, ehr, token := newWriting(t)
	_, _, patient := w.booked(token)
	old := w.put("POST", token, "/Communication", reminder(patient, "")).json().Get("id").String()
	had := len(w.sandbox.IDs("Communication"))
	r := w.transact(token, []step{
		{method: "POST", url: "Communication", name: urnB, body: reminder(patient, urnA)},
		{method: "POST", url: "Communication", name: urnA, absent: "_id=" + old, body: reminder(patient, "")},
	})
	entries := r.json().Get("entry").Array()
	if r.status != 200 || len(entries) != 2 || ends(entries[0]) != "201" || ends(entries[1]) != "200" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if len(w.sandbox.IDs("Communication")) != had+1 || entries[1].Get("resource.id").String() != old {
		t.Errorf("%d were made: %s", len(w.sandbox.IDs("Communication"))-had, r.body)
	}
	if got := entries[0].Get("resource.basedOn.0.reference").String(); got != "Communication/"+old {
		t.Errorf("based on %q, and not on %q", got, old)
	}
	if _, sent := ehr.last(); strings.Contains(sent, "urn:uuid") && strings.Contains(sent, urnA) || gjson.Get(sent, "entry.#").Int() != 1 {
		t.Errorf("the EHR was sent %s", sent)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 intent 0, 1 access 201, 2 access 200, access 200" {
		t.Errorf("records: %s", got)
	}

	asked := ehr.asked()
	again := w.transact(token, []step{{method: "POST", url: "Communication", absent: "_id=" + old, body: reminder(patient, "")}})
	if again.status != 200 || again.json().Get("entry.0.resource.id").String() != old || ehr.asked() != asked {
		t.Errorf("%d %s, the EHR was asked %d times more", again.status, again.body, ehr.asked()-asked)
	}
}

// TestTransactionOfReads has nothing to write: the reads are answered together.
func TestTransactionOfReads(t *testing.T) {
	w, _, token := newWriting(t)
	id, _, _ := w.booked(token)
	r := w.transact(token, []step{{method: "GET", url: "Appointment/" + id}, {method: "HEAD", url: "Appointment/" + id}, {method: "GET", url: "Appointment/" + id + "/_history/1"}})
	entries := r.json().Get("entry").Array()
	alone := w.get(token, "/Appointment/"+id)
	if r.status != 200 || len(entries) != 3 || entries[0].Get("resource").Raw != string(alone.body) || entries[1].Get("resource").Exists() ||
		entries[1].Get("response.status").String() != "200 OK" || entries[2].Get("resource.id").String() != id {
		t.Errorf("%d %s", r.status, r.body)
	}
	if empty := w.transact(token, nil); empty.status != 200 || string(empty.body) != `{"resourceType":"Bundle","type":"transaction-response"}` {
		t.Errorf("a transaction of nothing: %d %s", empty.status, empty.body)
	}
}

// TestTransactionThatDoesNotFit has entries that are fine alone and not together.
func TestTransactionThatDoesNotFit(t *testing.T) {
	w, ehr, token := newWriting(t)
	id, tag, patient := w.booked(token)
	patch := `[{"op":"replace","path":"/status","value":"arrived"}]`
	for name, c := range map[string]struct {
		steps   []step
		headers []string
		want    string
		at      string
	}{
		"one resource by id and by condition": {[]step{
			{method: "PATCH", url: "Appointment/" + id, match: tag, body: patch},
			{method: "PATCH", url: "Appointment?_id=" + id, body: patch},
		}, nil, "400 transaction-twice", "Bundle.entry[1]"},
		"one resource twice": {[]step{
			{method: "PATCH", url: "Appointment/" + id, match: tag, body: patch},
			{method: "PATCH", url: "Appointment/" + id, match: tag, body: patch},
		}, nil, "400 malformed-body", "Bundle.entry[1]"},
		"an Idempotency-Key": {[]step{{method: "POST", url: "Communication", body: reminder(patient, "")}}, []string{"Idempotency-Key", "k"}, "400 not-supported", ""},
		"a reference by other characters": {[]step{
			{method: "POST", url: "Communication", name: urnA, absent: "_id=" + w.put("POST", token, "/Communication", reminder(patient, "")).json().Get("id").String(), body: reminder(patient, "")},
			{method: "POST", url: "Communication", body: reminder(patient, strings.Replace(urnA, "urn", `\u0075rn`, 1))},
		}, nil, "400 malformed-body", "Bundle.entry[1]"},
	} {
		asked := ehr.asked()
		r := w.transact(token, c.steps, c.headers...)
		if got := fmt.Sprint(r.status, " ", r.code()); got != c.want || r.json().Get("issue.0.expression.0").String() != c.at {
			t.Errorf("%s: %s", name, r.body)
		}
		recs := w.records(r.header.Get("X-Request-Id"))
		if ehr.asked() != asked || recs[len(recs)-1].Kind != accesslog.KindRefusal || recs[len(recs)-1].Code != r.code() {
			t.Errorf("%s: the EHR was asked %d times; records: %s", name, ehr.asked()-asked, kinds(recs))
		}
	}
}

// TestTransactionOfTwoDatasets has a policy judge two types by two datasets.
func TestTransactionOfTwoDatasets(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.Replace(allowAll, `"access"`, `{"Location": "access", "Slot": "scheduling"}[input.request.type]`, 1),
	}))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	if r := w.transact(token, []step{{method: "GET", url: "Location?_count=1"}, {method: "GET", url: "Location?_count=2"}}); r.status != 200 {
		t.Fatalf("by one dataset: %d %s", r.status, r.body)
	}
	r := w.transact(token, []step{{method: "GET", url: "Location?_count=1"}, {method: "GET", url: "Slot?_count=1"}})
	if r.status != 403 || r.code() != "transaction-mixed" || r.json().Get("issue.0.expression.0").String() != "Bundle.entry[1]" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 refusal 424 transaction-refused, 2 refusal 403 transaction-mixed, refusal 403 transaction-mixed" {
		t.Errorf("records: %s", got)
	}
}

// TestTransactionHeldToAPatient lets an app write of its own patient, and of no other.
func TestTransactionHeldToAPatient(t *testing.T) {
	w, ehr, _ := newWriting(t)
	own := w.sandbox.IDs("Patient")[appPatient]
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/Communication.crs", "patient/Appointment.rs"}, Claims: map[string]any{"patient": own}})
	r := w.transact(app, []step{
		{method: "POST", url: "Communication", body: reminder("Patient/"+own, "")},
		{method: "GET", url: "Appointment?_count=5"},
	})
	if r.status != 200 || ends(r.json().Get("entry.0")) != "201" || ends(r.json().Get("entry.1")) != "200" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	asked := ehr.asked()
	for name, c := range map[string]struct{ body, want string }{
		"another patient":   {reminder("Patient/"+w.sandbox.IDs("Patient")[1], ""), "422 unknown-reference"},
		"nobody":            {`{"resourceType":"Communication","status":"completed"}`, "403 write-outside"},
		"what is made here": {reminder(urnA, ""), "403 write-outside"},
	} {
		r := w.transact(app, []step{{method: "POST", url: "Communication", name: urnA, body: reminder("Patient/"+own, "")}, {method: "POST", url: "Communication", body: c.body}})
		if got := fmt.Sprint(r.status, " ", r.code()); got != c.want || ehr.asked() != asked {
			t.Errorf("%s: %s, want %s", name, r.body, c.want)
		}
	}
}
