package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestCompartments searches what is in a patient's compartment, of one type and of several.
func TestCompartments(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	patient := w.sealer("demo-scheduling")("Patient", w.sandbox.IDs("Patient")[3])
	for path, types := range map[string][]string{
		"/Patient/" + patient + "/Appointment":                                             {"Appointment"},
		"/Patient/" + patient + "/Appointment?_include=Appointment:location":               {"Appointment", "Location"},
		"/Patient/" + patient + "/Encounter?status=finished":                               {"Encounter"},
		"/Patient/" + patient + "/*?_type=Appointment,Encounter&_count=100":                {"Appointment", "Encounter"},
		"/Patient/" + patient + "/*?_type=Encounter,Appointment&_lastUpdated=gt2000-01-01": {"Appointment", "Encounter"},
	} {
		r := w.get(token, path)
		var got []string
		for _, e := range r.json().Get("entry").Array() {
			kind := e.Get("resource.resourceType").String()
			if !slices.Contains(got, kind) {
				got = append(got, kind)
			}
			if kind != "Location" && !strings.Contains(e.Raw, "Patient/"+patient) {
				t.Errorf("%s: of another patient: %s", path, e.Raw)
			}
		}
		slices.Sort(got)
		if r.status != 200 || !slices.Equal(got, types) || r.json().Get("total").Exists() {
			t.Errorf("%s: %d %v, want %v: %.300s", path, r.status, got, types, r.body)
			continue
		}
		w.named(r)
		if rec := w.record(r).Request; rec.Interaction != "search-compartment" || rec.ID != "Patient/"+patient {
			t.Errorf("%s: record %+v", path, rec)
		}
	}
	posted := w.send("POST", token, "/Patient/"+patient+"/Appointment/_search", strings.NewReader("_count=2"), "Content-Type", "application/x-www-form-urlencoded")
	if posted.status != 200 || len(posted.json().Get("entry").Array()) == 0 {
		t.Errorf("by POST: %d %s", posted.status, posted.body)
	}
	raw, other := w.sandbox.IDs("Patient")[3], w.sealer("demo-access")("Patient", w.sandbox.IDs("Patient")[3])
	for path, want := range map[string]string{
		"/Patient/" + raw + "/Appointment":                            "404 not-found",
		"/Patient/" + other + "/Appointment":                          "404 not-found",
		"/Patient/" + patient + "/Slot":                               "403 not-supported",
		"/Patient/" + patient + "/*":                                  "400 missing-parameter",
		"/Patient/" + patient + "/*?_type=Appointment,Observation":    "403 scope",
		"/Patient/" + patient + "/Observation":                        "403 scope",
		"/Practitioner/" + patient + "/Appointment":                   "403 not-supported",
		"/Encounter/" + patient + "/Appointment":                      "403 not-supported",
		"/Patient/" + patient + "/Appointment?reason-code=x":          "403 search-hidden",
		"/Patient/" + patient + "/Appointment?_summary=count":         "403 search-hidden",
		"/Patient/" + patient + "/Appointment?_total=accurate":        "403 search-hidden",
		"/Patient/" + patient + "/Appointment?patient.active=true":    "403 search-hidden",
		"/Patient/" + patient + "/Appointment?_page=AAAA":             "400 page-invalid",
		"/Patient/" + patient + "/Appointment?_sort=-practitioner":    "403 search-hidden",
		"/Patient/" + patient + "/Appointment?_list=42":               "400 not-supported",
		"/Patient/" + patient + "/Nonsense":                           "400 malformed-request",
		"/Patient/" + patient + "/Appointment?_include=Account:owner": "400 malformed-parameter",
	} {
		w.refused(w.get(token, path), path, want)
	}
	// An app that was launched for one patient has that one's compartment and no other.
	app := w.token("demo-app", demo.TokenOptions{Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[appPatient]}})
	if r := w.get(app, "/Patient/"+w.sandbox.IDs("Patient")[appPatient]+"/Appointment"); r.status != 200 || !r.json().Get("entry").Exists() {
		t.Errorf("its own: %d %s", r.status, r.body)
	}
	theirs := w.sealer("demo-app")("Patient", w.sandbox.IDs("Patient")[1])
	for _, id := range []string{theirs, w.sandbox.IDs("Patient")[1], w.sandbox.IDs("Patient")[appPatient] + "2"} {
		w.refused(w.get(app, "/Patient/"+id+"/Appointment"), "another's", "404 not-found")
	}
}

// TestSeveralTypes searches the whole EHR for resources of several types.
func TestSeveralTypes(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	r := w.get(token, "/?_type=Location,Organization&_count=500&_sort=-_lastUpdated")
	kinds := broughtBy(r, "match")
	if r.status != 200 || !slices.Equal(kinds, []string{"Location", "Organization"}) {
		t.Fatalf("%d %v: %.300s", r.status, kinds, r.body)
	}
	w.named(r)
	if rec := w.record(r).Request; rec.Interaction != "search-system" || len(rec.Parameters) != 4 {
		t.Errorf("record %+v", rec)
	}
	two := r.json().Get("entry.0.resource.id").String() + "," + r.json().Get("entry.5.resource.id").String()
	if r := w.get(token, "/?_type=Location,Organization&_id="+two); r.status != 200 || len(r.json().Get("entry").Array()) != 2 {
		t.Errorf("by ids: %d %.300s", r.status, r.body)
	}
	// Page after page, to the end.
	seen := 0
	for next := w.fhir + "?_type=Location,Organization&_count=7"; next != ""; {
		r := w.get(token, next)
		if r.status != 200 {
			t.Fatalf("%s: %d %s", next, r.status, r.body)
		}
		seen += len(r.json().Get("entry").Array())
		next = r.json().Get(`link.#(relation=="next").url`).String()
	}
	if want := visible(w.sandbox, "Location") + visible(w.sandbox, "Organization"); seen != want {
		t.Errorf("%d resources on all pages, want %d", seen, want)
	}
	narrow := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/Location.rs"}})
	held := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": w.sandbox.IDs("Patient")[appPatient]}})
	for _, c := range []struct{ name, token, path, want string }{
		{"no type", token, "/?_count=1", "400 missing-parameter"},
		{"type of another desk", token, "/?_type=Location,Coverage", "403 dataset-type"},
		{"type without a scope", narrow, "/?_type=Location,Organization", "403 scope"},
		{"types of two floors", held, "/?_type=Appointment,Location", "403 scope"},
		{"hidden of one of them", token, "/?_type=Location,Patient&_tag=x", "403 search-hidden"},
		{"of one of them alone", token, "/?_type=Location,Patient&birthdate=1970-01-01", "400 malformed-parameter"},
		{"named, of one type", token, "/?_type=Patient,Appointment&identifier=x", "403 search-hidden"},
		{"type twice", token, "/?_type=Location&_type=Patient", "400 malformed-parameter"},
	} {
		w.refused(w.get(c.token, c.path), c.name, c.want)
	}
	r = w.get(held, "/?_type=Appointment,Encounter&_count=100")
	own := w.sealer("demo-app")("Patient", w.sandbox.IDs("Patient")[appPatient])
	for _, e := range r.json().Get("entry").Array() {
		if !strings.Contains(e.Raw, "Patient/"+own) {
			t.Errorf("another patient's: %s", e.Raw)
		}
	}
	if r.status != 200 || !r.json().Get("entry").Exists() {
		t.Errorf("an app's: %d %.300s", r.status, r.body)
	}
}

// TestIDOfSeveralTypes has a dataset that keeps the ids of one type: by such an id, nobody of
// another type is found.
func TestIDOfSeveralTypes(t *testing.T) {
	w := newWorld(t, append(versions(""), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "ids"`),
		"halfdoor/datasets/ids/data.yaml": "title: Ids\nversion: 1\nresources:\n" +
			"  Patient: {id: token, active: keep}\n  Location: {id: keep, status: keep}\n  Organization: {id: keep, active: keep}\n",
	}))...)
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	patient, place := w.sandbox.IDs("Patient")[3], w.sandbox.IDs("Location")[0]
	sealed := w.sealer("demo-access")("Patient", patient)
	for path, want := range map[string]int{
		"/?_type=Location,Patient&_id=" + patient: 0, "/?_type=Patient,Location&_id=" + patient: 0, "/?_type=Location,Patient&_id=" + place: 0,
		"/?_type=Location,Patient&_id=" + sealed: 1, "/?_type=Location,Organization&_id=" + place: 1, "/Location?_id=" + place: 1,
	} {
		r := w.get(token, path)
		if n := len(r.json().Get("entry").Array()); r.status != 200 || n != want {
			t.Errorf("%s: %d, %d entries, want %d", path, r.status, n, want)
		}
		w.record(r)
	}
}

// TestFocusIsNoCompartment has an EHR that takes what an observation looks at for whom it is of.
func TestFocusIsNoCompartment(t *testing.T) {
	w := newWorld(t, append(versions(""), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "looks"`),
		"halfdoor/datasets/looks/data.yaml": "title: Looks\nversion: 1\nresources:\n" +
			"  Patient: {id: token}\n  Observation: {id: token, status: keep, subject: reference, performer: reference, focus: reference}\n",
	}), withEHR(says(searchset(
		`{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Observation","id":"o2","status":"CANARY","subject":{"reference":"Patient/p12"},"focus":[{"reference":"Patient/p1"}]}`,
		`{"resourceType":"Observation","id":"o3","status":"CANARY","subject":{"reference":"https://elsewhere.example/fhir/Patient/p1"}}`,
		`{"resourceType":"Observation","id":"o4","status":"CANARY","subject":{"reference":"Patient/p12"}}`,
		`{"resourceType":"Observation","id":"o5","status":"CANARY","subject":{"reference":"#p1"},"contained":[{"resourceType":"Patient","id":"p1"}]}`,
		`{"resourceType":"Observation","id":"o6","status":"CANARY","subject":{"identifier":{"value":"p1"},"display":"p1"}}`,
	))))...)
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": "p1"}})
	for _, path := range []string{"/Observation", "/Patient/p1/Observation", "/Observation?subject=Patient/p1"} {
		r := w.get(app, path)
		if n := len(r.json().Get("entry").Array()); r.status != 200 || n != 1 || strings.Contains(string(r.body), "CANARY") {
			t.Errorf("%s: %d, %d entries: %s", path, r.status, n, r.body)
		}
		if totals := w.record(r).Totals; totals.Dropped["compartment"]["Observation"] != 5 {
			t.Errorf("%s: totals %+v", path, totals)
		}
	}
}

// TestCompartmentByWhatIsHidden has a dataset that does not tell who sent a message: what is in
// the compartment would.
func TestCompartmentByWhatIsHidden(t *testing.T) {
	w := newWorld(t, append(versions(""), withBundle(map[string]string{
		"halfdoor/decision.rego":           strings.ReplaceAll(allowAll, `"dataset": "access"`, `"dataset": "part"`),
		"halfdoor/datasets/part/data.yaml": "title: Part\nversion: 1\nresources:\n  Patient: {id: token}\n  Communication: {id: token, status: keep, subject: reference}\n",
	}))...)
	token := w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.rs"}})
	patient := w.sealer("demo-access")("Patient", w.sandbox.IDs("Patient")[3])
	for _, path := range []string{"/Patient/" + patient + "/Communication", "/Patient/" + patient + "/*?_type=Communication"} {
		w.refused(w.get(token, path), path, "403 search-hidden")
	}
	own := w.sandbox.IDs("Patient")[appPatient]
	app := w.token("demo-app", demo.TokenOptions{Scopes: []string{"patient/*.rs"}, Claims: map[string]any{"patient": own}})
	if r := w.get(app, "/Patient/"+own+"/Communication"); r.status != 200 { // held to it anyway
		t.Errorf("the app's own: %d %s", r.status, r.body)
	}
}

// TestPageLinks steals, forges and moves links of every kind of search.
func TestPageLinks(t *testing.T) {
	w := newWorld(t, versions("")...)
	all := demo.TokenOptions{Scopes: []string{"system/*.rs"}}
	token := w.token("demo-access", all)
	patient := w.sealer("demo-access")("Patient", w.sandbox.IDs("Patient")[3])
	links := map[string]string{}
	lengths := map[int]bool{}
	for _, path := range []string{
		"?_type=Appointment,Patient&_count=2", "/Appointment?_count=2", "/Patient/" + patient + "/Appointment?_count=1", "/Appointment/_history?_count=2",
		"/_history?_count=2", "/Appointment?_count=2&status=booked,fulfilled,noshow,proposed,pending,waitlist,cancelled",
	} {
		r := w.get(token, path)
		next := r.json().Get(`link.#(relation=="next").url`).String()
		if r.status != 200 || next == "" || strings.Contains(next, "_offset") {
			t.Fatalf("%s: %d %q %.300s", path, r.status, next, r.body)
		}
		place, sealed, _ := strings.Cut(next, "?_page=")
		links[place] = sealed
		lengths[len(sealed)] = true
		if again := w.get(token, next); again.status != 200 || !again.json().Get("entry").Exists() || again.json().Get("link.0.url").String() != next {
			t.Errorf("%s: the link itself: %d %.300s", path, again.status, again.body)
		}
	}
	if len(lengths) > 2 {
		t.Errorf("links of %d lengths tell their queries apart", len(lengths))
	}
	for place := range links {
		for other, sealed := range links {
			if other == place {
				continue
			}
			w.refused(w.get(token, place+"?_page="+sealed), "moved from "+other+" to "+place, "400 page-invalid")
		}
		sealed := links[place]
		for name, r := range map[string]reply{
			"stolen by another client":  w.get(w.token("demo-billing", all), place+"?_page="+sealed),
			"stolen by another subject": w.get(w.token("demo-access", demo.TokenOptions{Scopes: all.Scopes, Claims: map[string]any{"sub": "somebody"}}), place+"?_page="+sealed),
			"cut":                       w.get(token, place+"?_page="+sealed[:len(sealed)-2]),
			"changed":                   w.get(token, place+"?_page="+sealed[:40]+"AAAA"+sealed[44:]),
			"forged":                    w.get(token, place+"?_page="+url.QueryEscape(strings.Repeat("A", len(sealed)))),
			"the EHR's own":             w.get(token, place+"?_page="+url.QueryEscape(strings.ReplaceAll("_offset=2", "=", "-"))),
		} {
			w.refused(r, name+" "+place, "400 page-invalid")
		}
		if r := w.get(token, place+"?_page="+sealed+"&status=x"); r.status != 400 {
			t.Errorf("with more: %d %s", r.status, r.body)
		}
		w.refused(w.get("", place+"?_page="+sealed), "of nobody", "401 token-missing")
	}
}

// TestLongLinks has an EHR whose next page has an address that no client could send back: a search
// that can only be seen to its first page would look like the whole.
func TestLongLinks(t *testing.T) {
	for length, status := range map[int]int{1000: 200, 9000: 414} {
		var w *world
		w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			says(`{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"`+w.ehrURL+`/Location?q=`+strings.Repeat("x", length)+`"}],`+
				`"entry":[{"resource":{"resourceType":"Location","id":"l1","status":"active"}}]}`).ServeHTTP(rw, r)
		})))
		r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Location")
		if status == 414 {
			w.refused(r, "long", "414 too-long")
		} else if next := r.json().Get("link.0.url").String(); r.status != 200 || w.get(w.token("demo-scheduling", demo.TokenOptions{}), next).status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestWithheldPages has an EHR whose pages hold nothing that may leave: that there is something
// to withhold must not be seen by an empty page with another behind it.
func TestWithheldPages(t *testing.T) {
	secret := `{"resourceType":"Appointment","id":"a1","status":"booked",` + restricted + `}`
	open := `{"resourceType":"Appointment","id":"open","status":"booked"}`
	for name, c := range map[string]struct {
		withheld int // pages before the first that is not
		asks     int // of the EHR
		next     bool
	}{
		"none": {0, 1, true}, "one": {1, 2, true}, "ten": {10, 11, true}, "more than are turned": {30, 11, true},
	} {
		t.Run(name, func(t *testing.T) {
			var w *world
			w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				page := len(r.URL.Query().Get("at"))
				body := secret
				if page == c.withheld {
					body = open
				}
				link := `"link":[{"relation":"self","url":"` + w.ehrURL + `/x"},{"relation":"next","url":"` + w.ehrURL + `/Appointment?at=x` + r.URL.Query().Get("at") + `"}],`
				says(strings.Replace(searchset(body), `"entry"`, link+`"entry"`, 1)).ServeHTTP(rw, r)
			})))
			token := w.token("demo-scheduling", demo.TokenOptions{})
			before := w.ehr.Requests()
			r := w.get(token, "/Appointment?_count=1")
			if n := w.ehr.Requests() - before; r.status != 200 || n != c.asks {
				t.Fatalf("%d after %d requests: %s", r.status, n, r.body)
			}
			if found := r.json().Get("entry.0.resource.id").Exists(); found != (c.withheld <= 10) {
				t.Errorf("found %v: %s", found, r.body)
			}
			if next := r.json().Get(`link.#(relation=="next").url`).String(); (next != "") != c.next {
				t.Errorf("next %q", next)
			}
			if totals := w.record(r).Totals; totals.Dropped["label"]["Appointment"] != min(c.withheld, 11) {
				t.Errorf("totals %+v", totals)
			}
			if n := gjson.GetBytes(r.body, "link.#").Int(); n != 2 {
				t.Errorf("%d links", n)
			}
			w.named(r)
		})
	}
}
