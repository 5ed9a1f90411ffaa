package gateway_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/transforms"
)

// desks are the demo's clients and the types of their datasets.
var desks = []struct {
	client, dataset string
	types           []string
}{
	{"demo-access", "access", []string{"Practitioner", "PractitionerRole", "Organization", "Location"}},
	{"demo-scheduling", "scheduling", []string{"Appointment", "Schedule", "Slot", "Encounter", "Practitioner", "PractitionerRole", "Organization", "Location", "Task", "Communication", "ServiceRequest"}},
	{"demo-billing", "billing", []string{"Coverage", "Encounter", "Organization", "Location", "Task", "Communication"}},
}

// outside lists the paths of a resource that its dataset does not let leave.
func outside(ds *transforms.Dataset, resource gjson.Result) []string {
	kind := resource.Get("resourceType").String()
	rows := ds.Resources[kind]
	var bad []string
	var walk func(path string, v gjson.Result)
	walk = func(path string, v gjson.Result) {
		rule, named := rows[path]
		switch {
		case named && rule.Method == transforms.Reference:
			for _, e := range each(v) {
				e.ForEach(func(k, _ gjson.Result) bool {
					if k.String() != "reference" && k.String() != "type" {
						bad = append(bad, kind+"."+path+"."+k.String())
					}
					return true
				})
			}
		case named:
		case v.IsArray():
			for _, e := range v.Array() {
				walk(path, e)
			}
		case v.IsObject():
			v.ForEach(func(k, e gjson.Result) bool {
				walk(strings.TrimPrefix(path+"."+strings.TrimPrefix(k.String(), "_"), "."), e)
				return true
			})
		default:
			bad = append(bad, kind+"."+path)
		}
	}
	resource.ForEach(func(k, v gjson.Result) bool {
		switch k.String() {
		case "resourceType":
		case "meta":
			v.ForEach(func(k, e gjson.Result) bool {
				if k.String() != "tag" {
					walk("meta."+k.String(), e)
				}
				return true
			})
		default:
			walk(strings.TrimPrefix(k.String(), "_"), v)
		}
		return true
	})
	return bad
}

func each(v gjson.Result) []gjson.Result {
	if v.IsArray() {
		return v.Array()
	}
	return []gjson.Result{v}
}

func dataset(t *testing.T, name string) *transforms.Dataset {
	t.Helper()
	engine, err := gateway.Policies("")
	check(t, err)
	plan, ok := engine.Plan(name)
	if !ok {
		t.Fatalf("no dataset %q", name)
	}
	return plan.Dataset()
}

// rawIDs are all ids of the sandbox that could not stand anywhere by chance.
func rawIDs(e *demo.EHR) []string {
	var ids []string
	for _, kind := range e.Types() {
		for _, id := range e.IDs(kind) {
			if len(id) >= 8 {
				ids = append(ids, `"`+id+`"`, "/"+id)
			}
		}
	}
	return ids
}

// TestDesks searches every type of every desk to the last page, and reads what it found.
func TestDesks(t *testing.T) {
	w := newWorld(t)
	raw := rawIDs(w.sandbox)
	for _, desk := range desks {
		ds, token := dataset(t, desk.dataset), w.token(desk.client, demo.TokenOptions{})
		for _, kind := range desk.types {
			seen := map[string]bool{}
			next := w.fhir + "/" + kind + "?_count=7"
			for pages := 0; next != ""; pages++ {
				r := w.get(token, next)
				if r.status != 200 || r.err != nil {
					t.Fatalf("%s %s: %d %s %v", desk.client, kind, r.status, r.body, r.err)
				}
				for _, id := range raw {
					if strings.Contains(string(r.body), id) {
						t.Fatalf("%s %s: the EHR's id %s left", desk.client, kind, id)
					}
				}
				for _, e := range r.json().Get("entry").Array() {
					if bad := outside(ds, e.Get("resource")); len(bad) > 0 {
						t.Errorf("%s: outside the dataset: %v", desk.client, bad)
					}
					if e.Get(`resource.meta.tag.#(code=="SUBSETTED")`).Raw == "" {
						t.Errorf("%s: no SUBSETTED: %s", kind, e.Raw)
					}
					id := e.Get("resource.id").String()
					if seen[id] {
						t.Errorf("%s: %s twice", kind, id)
					}
					seen[id] = true
					if want := w.fhir + "/" + kind + "/" + id; e.Get("fullUrl").String() != want {
						t.Errorf("fullUrl is %s, want %s", e.Get("fullUrl"), want)
					}
				}
				w.named(r)
				next = r.json().Get(`link.#(relation=="next").url`).String()
				if pages > 500 {
					t.Fatal("the pages do not end")
				}
			}
			if want := visible(w.sandbox, kind); len(seen) != want {
				t.Errorf("%s %s: %d resources, want %d", desk.client, kind, len(seen), want)
			}
			for id := range seen {
				r := w.get(token, "/"+kind+"/"+id)
				if r.status != 200 || r.json().Get("id").String() != id {
					t.Errorf("read %s/%s: %d %s", kind, id, r.status, r.body)
				}
				version := r.json().Get("meta.versionId").String()
				if v := w.get(token, "/"+kind+"/"+id+"/_history/"+version); v.status != 200 || string(v.body) != string(r.body) {
					t.Errorf("vread %s/%s: %d %s", kind, id, v.status, v.body)
				}
				break
			}
		}
	}
	check(t, w.close())
	w.verify()
}

// visible counts the resources of a type without a restricted label.
func visible(e *demo.EHR, kind string) int {
	n := 0
	for _, id := range e.IDs(kind) {
		body, _ := e.Resource(kind, id)
		if !gjson.GetBytes(body, `meta.security.#(code=="R")`).Exists() && !gjson.GetBytes(body, `meta.security.#(code=="V")`).Exists() {
			n++
		}
	}
	return n
}

// named checks that the records of an answer name each resource and patient in it.
func (w *world) named(r reply) {
	w.t.Helper()
	subjects := map[string]bool{}
	for _, rec := range w.records(r.header.Get("X-Request-Id")) {
		if rec.Status != 200 {
			w.t.Errorf("the record says %d", rec.Status)
		}
		for _, s := range rec.Subjects {
			subjects[s] = true
		}
	}
	var walk func(v gjson.Result)
	walk = func(v gjson.Result) {
		if kind := v.Get("resourceType").String(); kind != "" && kind != "Bundle" && v.Get("id").Exists() && !subjects[kind+"/"+v.Get("id").String()] {
			w.t.Errorf("%s/%s left and no record names it", kind, v.Get("id"))
		}
		if ref := strings.TrimPrefix(v.Get("reference").String(), w.fhir+"/"); strings.HasPrefix(ref, "Patient/") && !subjects[ref] {
			w.t.Errorf("%s left and no record names it", ref)
		}
		if v.IsObject() || v.IsArray() {
			v.ForEach(func(_, e gjson.Result) bool { walk(e); return true })
		}
	}
	walk(r.json())
}

// identifier is a search for a sandbox patient by its first identifier.
func identifier(e *demo.EHR, i int) string {
	body, _ := e.Resource("Patient", e.IDs("Patient")[i])
	n := gjson.GetBytes(body, "identifier.0")
	return "identifier=" + url.QueryEscape(n.Get("system").String()+"|"+n.Get("value").String())
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	access, billing := w.token("demo-access", demo.TokenOptions{}), w.token("demo-billing", demo.TokenOptions{})
	find := "/Patient?" + identifier(w.sandbox, 3)
	mine, theirs := w.get(access, find), w.get(billing, find)
	id, other := mine.json().Get("entry.0.resource.id").String(), theirs.json().Get("entry.0.resource.id").String()
	if id == "" || other == "" || id == other {
		t.Fatalf("tokens %q and %q: %s", id, other, mine.body)
	}
	if again := w.get(access, find).json().Get("entry.0.resource.id").String(); again != id {
		t.Errorf("another token for the same patient: %s, before %s", again, id)
	}
	for _, path := range []string{"/Coverage?beneficiary=Patient/" + other, "/Coverage?patient=" + other, "/Coverage?beneficiary:Patient=" + other, "/Coverage?patient=" + url.QueryEscape(w.fhir+"/Patient/"+other)} {
		r := w.get(billing, path)
		if n := len(r.json().Get("entry").Array()); r.status != 200 || n == 0 {
			t.Errorf("%s: %d, %d entries: %s", path, r.status, n, r.body)
		}
		for _, e := range r.json().Get("entry").Array() {
			if ref := e.Get("resource.beneficiary.reference").String(); ref != "Patient/"+other {
				t.Errorf("%s: of %s", path, ref)
			}
		}
	}
	if r := w.get(access, "/Patient?_id="+id); r.json().Get("entry.0.resource.id").String() != id {
		t.Errorf("_id: %s", r.body)
	}
	// What is not this client's token names nothing, whether it exists or not.
	real := w.sandbox.IDs("Patient")[3]
	var bodies []string
	for _, foreign := range []string{other, real, "no-such-patient"} {
		r := w.get(access, "/Patient/"+foreign, "X-Correlation-Id", "same", "X-Request-Id", "same")
		if r.status != 404 || r.code() != "not-found" {
			t.Errorf("read by %s: %d %s", foreign, r.status, r.code())
		}
		bodies = append(bodies, string(r.body))
		if s := w.get(access, "/Patient?_id="+foreign); s.status != 200 || s.json().Get("entry").Exists() {
			t.Errorf("search by %s: %d %s", foreign, s.status, s.body)
		}
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Errorf("the answers tell which of these exists:\n%s", strings.Join(bodies, "\n"))
	}
	// A type's token does not open as another type's.
	if r := w.get(access, "/Practitioner/"+id); r.status != 404 {
		t.Errorf("a patient's token as a practitioner's: %d", r.status)
	}
}

// TestLaunch holds a SMART app to the patient it was launched for.
func TestLaunch(t *testing.T) {
	w := newWorld(t)
	patients := w.sandbox.IDs("Patient")
	launched := patients[appPatient]
	app := w.token("demo-app", demo.TokenOptions{Claims: map[string]any{"patient": launched}})
	r := w.get(app, "/Patient/"+launched) // the raw id of its own token
	if r.status != 200 {
		t.Fatalf("its own patient: %d %s", r.status, r.body)
	}
	own := r.json().Get("id").String()
	if own == launched {
		t.Error("the answer holds the raw id")
	}
	if r := w.get(app, "/Patient/"+patients[1]); r.status != 404 {
		t.Errorf("another patient's raw id: %d", r.status)
	}
	all := w.get(app, "/Patient?_count=100")
	if n := len(all.json().Get("entry").Array()); n != 1 || all.json().Get("entry.0.resource.id").String() != own {
		t.Errorf("a search finds %d patients: %s", n, all.body)
	}
	if all.json().Get("total").Exists() {
		t.Error("a total that can count what was dropped")
	}
	appointments := w.get(app, "/Appointment?_count=1000")
	if n := len(appointments.json().Get("entry").Array()); appointments.status != 200 || n == 0 {
		t.Fatalf("appointments: %d %s", appointments.status, appointments.body)
	}
	for _, e := range appointments.json().Get("entry").Array() {
		if !strings.Contains(e.Raw, "Patient/"+own) {
			t.Errorf("another patient's appointment: %s", e.Raw)
		}
	}
	// Somebody else's appointment, by this client's own token for it, is not there either.
	wide := w.token("demo-app", demo.TokenOptions{Scopes: []string{"user/Appointment.rs"}})
	for _, e := range w.get(wide, "/Appointment?_count=1000").json().Get("entry").Array() {
		if !strings.Contains(e.Raw, "Patient/"+own) {
			if r := w.get(app, "/Appointment/"+e.Get("resource.id").String()); r.status != 404 || r.code() != "not-found" {
				t.Errorf("another patient's appointment by id: %d %s", r.status, r.body)
			}
			break
		}
	}
	if r := w.get(w.token("demo-app", demo.TokenOptions{Claims: map[string]any{"patient": nil}}), "/Patient"); r.status != 403 || r.code() != "scope-patient" {
		t.Errorf("without a patient in context: %d %s", r.status, r.code())
	}
}

func TestPageLinksAreBound(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	next := w.get(token, "/Appointment?_count=3").json().Get(`link.#(relation=="next").url`).String()
	if !strings.HasPrefix(next, w.fhir+"/Appointment?_page=") || strings.Contains(next, w.ehrURL) {
		t.Fatalf("next is %q", next)
	}
	for name, r := range map[string]reply{
		"another client":  w.get(w.token("demo-billing", demo.TokenOptions{}), strings.Replace(next, "/Appointment?", "/Encounter?", 1)),
		"another type":    w.get(token, strings.Replace(next, "/Appointment?", "/Encounter?", 1)),
		"another subject": w.get(w.token("demo-scheduling", demo.TokenOptions{Claims: map[string]any{"sub": "somebody"}}), next),
		"forged":          w.get(token, next[:len(next)-1]+"~"),
		"changed":         w.get(token, next[:len(next)-8]+"AAAAAAAA"),
	} {
		if r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	narrowed := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"patient/Appointment.rs"}, Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[0]}})
	if r := w.get(narrowed, next); r.status != 400 || r.code() != "page-invalid" {
		t.Errorf("under a narrower floor: %d %s", r.status, r.body)
	}
	if r := w.get(token, next); r.status != 200 {
		t.Errorf("the link itself: %d %s", r.status, r.body)
	}
}

func TestRecordOfARead(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	id := w.get(token, "/Appointment?_count=1").json().Get("entry.0.resource.id").String()
	r := w.get(token, "/Appointment/"+id, "Ticket-Id", "INC-1", "X-Request-Id", "req-1", "X-Correlation-Id", "corr-1",
		"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Purpose-Of-Use", "PATRQT")
	if r.status != 200 || r.header.Get("X-Request-Id") != "req-1" || r.header.Get("X-Correlation-Id") != "corr-1" {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+json") {
		t.Errorf("headers %v", r.header)
	}
	rec := w.record(r)
	if rec.Kind != accesslog.KindAccess || rec.Ticket.ID != "INC-1" || rec.Correlation != "corr-1" || rec.Trace != "0af7651916cd43dd8448eb211c80319c" ||
		rec.Purpose != "PATRQT" || rec.Actor.Client != "demo-scheduling" || rec.Source != "127.0.0.1" || rec.EHR != "main" ||
		rec.Request.Interaction != "read" || rec.Request.Type != "Appointment" || rec.Request.ID != id || rec.Policy.Dataset != "scheduling" ||
		rec.Policy.Revision == "" || rec.Totals == nil || rec.Totals.Released["Appointment"] != 1 || rec.Totals.BytesOut != int64(len(r.body)) {
		t.Errorf("record %+v", rec)
	}
	if !slices.Contains(rec.Subjects, "Appointment/"+id) || len(rec.Patients) == 0 {
		t.Errorf("subjects %v, patients %v", rec.Subjects, rec.Patients)
	}
}

func TestDocuments(t *testing.T) {
	w := newWorld(t)
	meta := w.get("", "/metadata").json()
	if meta.Get("resourceType").String() != "CapabilityStatement" || meta.Get("implementation.url").String() != w.fhir {
		t.Errorf("metadata: %s", meta.Raw)
	}
	params := meta.Get(`rest.0.resource.#(type=="Patient").searchParam.#.name`).String()
	if !strings.Contains(params, `"identifier"`) || strings.Contains(params, `"address"`) || strings.Contains(meta.Raw, "Observation") {
		t.Errorf("metadata offers %s", params)
	}
	smart := w.get("", "/.well-known/smart-configuration", "Accept", "text/html")
	doc := smart.json()
	if smart.status != 200 || !strings.HasPrefix(smart.header.Get("Content-Type"), "application/json") ||
		doc.Get("token_endpoint").String() != w.issuer.URL()+demo.TokenPath || !strings.Contains(doc.Get("code_challenge_methods_supported").Raw, "S256") {
		t.Errorf("smart-configuration: %d %s", smart.status, smart.body)
	}
	for _, r := range []reply{w.get("", "/metadata"), smart} {
		if strings.Contains(string(r.body), w.ehrURL) {
			t.Error("it names the EHR")
		}
	}
	if r := w.do("HEAD", "", "/metadata"); r.status != 200 || len(r.body) != 0 || r.header.Get("Content-Length") != "" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
}

// TestRecordOfAPage turns a page: its record says what was searched.
func TestRecordOfAPage(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	first := w.get(token, "/Appointment?_count=3&status=booked")
	second := w.get(token, first.json().Get(`link.#(relation=="next").url`).String())
	if second.status != 200 {
		t.Fatalf("%d %s", second.status, second.body)
	}
	one, two := w.record(first).Request, w.record(second).Request
	if len(two.Parameters) != 2 || fmt.Sprint(one) != fmt.Sprint(two) {
		t.Errorf("the first page's record says %+v, the second's %+v", one, two)
	}
}

// TestSharedTypes lets an app that was launched for a patient see a practitioner, where a
// scope names the type itself; and patient/*.rs does not.
func TestSharedTypes(t *testing.T) {
	w := newWorld(t)
	patient := w.sandbox.IDs("Patient")[appPatient]
	app := func(scope string) string {
		return w.token("demo-app", demo.TokenOptions{Scopes: []string{scope}, Claims: map[string]any{"patient": patient}})
	}
	r := w.get(app("patient/Practitioner.rs"), "/Practitioner?_count=1")
	id := r.json().Get("entry.0.resource.id").String()
	if r.status != 200 || id == "" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := w.get(app("patient/Practitioner.rs"), "/Practitioner/"+id); r.status != 200 {
		t.Errorf("read: %d %s", r.status, r.body)
	}
	for _, path := range []string{"/Practitioner", "/Practitioner/" + id} {
		if r := w.get(app("patient/*.rs"), path); r.status != 403 || r.code() != "scope" {
			t.Errorf("%s under patient/*.rs: %d %s", path, r.status, r.code())
		}
	}
}

// TestRecordOfWhatIsNotOffered refuses calls that are understood: the records say what they were.
func TestRecordOfWhatIsNotOffered(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	for call, want := range map[string]string{
		"DELETE /Patient/1": "delete Patient", "GET /Patient/1/$everything": "operation Patient", "GET /Patient?shoesize=1": "search-type Patient",
		"GET /Nonsense/1": " ",
	} {
		method, path, _ := strings.Cut(call, " ")
		rec := w.record(w.do(method, token, path))
		if got := rec.Request.Interaction + " " + rec.Request.Type; got != want {
			t.Errorf("%s: the record says %q, want %q", call, got, want)
		}
	}
}

// TestHead asks without wanting the body: nothing but the header leaves, and the record is as
// that of the body.
func TestHead(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits: {window: 4KiB}\n" }))
	for name, speak := range protocols {
		speak(w)
		r := w.do("HEAD", w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=1000")
		if r.status != 200 || r.err != nil || len(r.body) != 0 || r.header.Get("Content-Length") != "" {
			t.Errorf("%s: %d %v, %d bytes", name, r.status, r.err, len(r.body))
		}
		if recs := w.records(r.header.Get("X-Request-Id")); len(recs) < 2 || recs[len(recs)-1].Kind != accesslog.KindClose || recs[len(recs)-1].Detail != "" {
			t.Errorf("%s: %d records", name, len(recs))
		}
	}
}
