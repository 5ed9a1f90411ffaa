package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestNamedSearchConfirms asks for the beginning of a hidden name: a search that the dataset
// names confirms what the desk knows whole, and finds nothing out letter by letter.
func TestNamedSearchConfirms(t *testing.T) {
	w := newWorld(t)
	body, _ := w.sandbox.Resource("Patient", w.sandbox.IDs("Patient")[3])
	family, born := gjson.GetBytes(body, "name.0.family").String(), gjson.GetBytes(body, "birthDate").String()
	// Scheduling does not see names. Access does, and the beginning of one would find out the date.
	for _, desk := range []string{"demo-scheduling", "demo-access"} {
		token := w.token(desk, demo.TokenOptions{})
		find := func(family string) reply {
			return w.get(token, "/Patient?birthdate="+born+"&family="+url.QueryEscape(family))
		}
		if r := find(family); r.status != 200 || len(r.json().Get("entry").Array()) != 1 {
			t.Fatalf("%s: the whole name: %d %s", desk, r.status, r.body)
		}
		for n := 1; n < len(family); n++ {
			if r := find(family[:n]); r.status != 200 || r.json().Get("entry").Exists() {
				t.Errorf("%s: %q finds it too: %d", desk, family[:n], r.status)
			}
		}
	}
}

// TestLongQuery sends a query that is within bounds, and beyond them once it is escaped for
// the EHR: the client's fault, and not the gateway's.
func TestLongQuery(t *testing.T) {
	w := newWorld(t)
	value := strings.Repeat("!", 1900)
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Practitioner?family="+value+"&family="+value+"&family="+value+"&family="+value)
	if r.status != 414 || r.code() != "too-long" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Status != 414 || rec.Code != "too-long" {
		t.Errorf("record %+v", rec)
	}
}

// TestEveryMethod lets a patient leave by the methods that the default datasets do not use,
// and finds that search cannot ask for what they hide.
func TestEveryMethod(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"access"`, `"methods"`),
		"halfdoor/datasets/methods/data.yaml": `title: Every method
version: 1
resources:
  Patient:
    id: token
    birthDate: shift
    gender: {fixed: unknown}
    meta.lastUpdated: month
    identifier[system=https://sandbox.halfdoor.example/mrn].value: hash
    identifier.system: keep
search: {Patient: [identifier]}
`}))
	token := w.token("demo-access", demo.TokenOptions{})
	real, _ := w.sandbox.Resource("Patient", w.sandbox.IDs("Patient")[3])
	r := w.get(token, "/Patient?"+identifier(w.sandbox, 3))
	patient := r.json().Get("entry.0.resource")
	if r.status != 200 || !patient.Exists() {
		t.Fatalf("%d %s", r.status, r.body)
	}
	born, shifted := gjson.GetBytes(real, "birthDate").String(), patient.Get("birthDate").String()
	if len(shifted) != len(born) || shifted == born {
		t.Errorf("birthDate %s left as %s", born, shifted)
	}
	if again := w.get(token, "/Patient/"+patient.Get("id").String()); again.json().Get("birthDate").String() != shifted {
		t.Error("another read shifts by another number of days")
	}
	if v := patient.Get("gender").String(); v != "unknown" {
		t.Errorf("gender %q", v)
	}
	hashed := patient.Get("identifier.#.value").Array()
	if len(hashed) != 1 || hashed[0].String() == gjson.GetBytes(real, "identifier.0.value").String() {
		t.Errorf("identifiers %s", patient.Get("identifier").Raw)
	}
	for _, query := range []string{"birthdate=" + shifted, "gender=unknown", "_lastUpdated=ge2020-01-01", "_sort=birthdate"} {
		if r := w.get(token, "/Patient?"+query); r.status != 403 || r.code() != "search-hidden" {
			t.Errorf("%s: %d %s", query, r.status, r.code())
		}
	}
}

// TestKeptIDs follows references and addresses to resources whose ids are kept: these are tokens
// nevertheless, and lead there as the ids do.
func TestKeptIDs(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego": strings.ReplaceAll(allowAll, `"access"`, `"kept"`),
		"halfdoor/datasets/kept/data.yaml": `title: Ids kept
version: 1
resources:
  Location: {id: keep, managingOrganization: reference}
  Organization: {id: keep, name: keep}
`}))
	token := w.token("demo-access", demo.TokenOptions{})
	entry := w.get(token, "/Location?_count=1").json().Get("entry.0")
	id := w.sandbox.IDs("Location")[0]
	if entry.Get("resource.id").String() != id {
		t.Fatalf("entry %s", entry)
	}
	organization := entry.Get("resource.managingOrganization.reference").String()
	for _, path := range []string{"/Location/" + id, strings.TrimPrefix(entry.Get("fullUrl").String(), w.fhir), "/" + organization, "/Location?organization=" + organization} {
		if r := w.get(token, path); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestNamedSearchAtACarelessEHR has an EHR that leaves the modifier :exact aside, as some do: what it finds by
// the beginning of a name is not told, counted or paged.
func TestNamedSearchAtACarelessEHR(t *testing.T) {
	var w *world
	careless := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ":exact=", "=")
		w.sandbox.ServeHTTP(rw, r)
	})
	const open = `title: Open
version: 1
resources:
  Patient: {id: token, active: keep, managingOrganization: reference}
  Organization: {id: token, name: keep}
search: {Patient: [family+birthdate, address-city]}
`
	w = newWorld(t, withEHR(careless), withConfig(func(y string) string { return y + "policy: {bundle: bundle}\n" }), withBundle(map[string]string{
		"halfdoor/decision.rego":           strings.ReplaceAll(allowAll, `"access"`, `"open"`),
		"halfdoor/datasets/open/data.yaml": open,
	}))
	body, _ := w.sandbox.Resource("Patient", w.sandbox.IDs("Patient")[3])
	family, born := gjson.GetBytes(body, "name.0.family").String(), gjson.GetBytes(body, "birthDate").String()
	city := gjson.GetBytes(body, "address.0.city").String()
	token := w.token("demo-access", demo.TokenOptions{})
	find := func(family, more string) reply {
		return w.get(token, "/Patient?birthdate="+born+"&family="+url.QueryEscape(family)+more)
	}
	if r := find(family, "&_include=Patient:organization"); r.status != 200 || len(r.json().Get("entry").Array()) != 2 || r.json().Get("total").Exists() {
		t.Fatalf("the whole name: %d %s", r.status, r.body)
	} else if totals := w.record(r).Totals; totals.Dropped["unconfirmed"] != nil {
		t.Errorf("totals %+v", totals)
	}
	nobody := find("Nobody", "&_include=Patient:organization")
	for _, part := range []string{family[:1], family[:len(family)-1], strings.ToUpper(family), strings.ToLower(family)} {
		r := find(part, "&_include=Patient:organization")
		if r.status != 200 || r.json().Get("entry").Exists() || r.json().Get("total").Exists() || r.json().Get("link.#.relation").Raw != nobody.json().Get("link.#.relation").Raw {
			t.Errorf("%q: %d %s, of nobody %s", part, r.status, r.body, nobody.body)
		}
		if rec := w.record(r); rec.Totals.Dropped["unconfirmed"]["Patient"] == 0 || len(rec.Subjects)+len(rec.Patients) != 0 {
			t.Errorf("%q: record %+v, totals %+v", part, rec, rec.Totals)
		}
	}
	for more, what := range map[string]string{"&_summary=count": "_summary", "&_total=accurate": "_total"} {
		if r := find(family, more); r.code() != "search-hidden" || !strings.Contains(string(r.body), what) {
			t.Errorf("%s: %d %s", more, r.status, r.body)
		}
	}
	// Pages of which nothing is meant are turned over, and what is on the next one comes.
	if r := w.get(token, "/Patient?_count=1&address-city="+url.QueryEscape(city[:1])); r.status != 200 || r.json().Get("entry").Exists() {
		t.Errorf("the beginning of a city: %d %s", r.status, r.body)
	}
	if r := w.get(token, "/Patient?_count=1&address-city="+url.QueryEscape(city)); r.status != 200 || len(r.json().Get("entry").Array()) != 1 {
		t.Errorf("a city: %d %s", r.status, r.body)
	}
}

// TestNamedSearchAnswers has an EHR that answers a named search with what nobody can compare.
func TestNamedSearchAnswers(t *testing.T) {
	const one = `{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"Oddwick"}],"birthDate":"1970-01-01"}`
	searchset := func(entries string) string {
		return `{"resourceType":"Bundle","type":"searchset","total":7,"entry":[` + entries + `]}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		found      int
	}{
		{"as it is", searchset(`{"resource":` + one + `}`), 200, 1},
		{"among others", searchset(`{"resource":` + strings.Replace(one, "Oddwick", "Oddwicke", 1) + `},{"resource":` + one + `}`), 200, 1},
		{"without a name", searchset(`{"resource":{"resourceType":"Patient","id":"p1"}}`), 200, 0},
		{"a name that is none", searchset(`{"resource":{"resourceType":"Patient","id":"p1","name":"Oddwick"}}`), 200, 0},
		{"elsewhere", searchset(`{"resource":{"resourceType":"Patient","id":"p1","contact":[{"name":{"family":"Oddwick"}}]}}`), 200, 0},
		{"in a Bundle", searchset(`{"resource":` + searchset(`{"resource":`+one+`}`) + `}`), 200, 0},
		{"escaped", searchset(`{"resource":` + strings.Replace(one, "Oddwick", `\u004fddwick`, 1) + `}`), 200, 1},
		{"named twice", searchset(`{"resource":` + strings.Replace(one, `"birthDate"`, `"name":[],"birthDate"`, 1) + `}`), 502, 0},
		{"two lists", strings.Replace(searchset(`{"resource":`+one+`}`), `"total"`, `"entry":[],"total"`, 1), 502, 0},
		{"malformed", searchset(`{"resource":` + one), 502, 0},
		{"too large", searchset(`{"resource":` + one + `}` + strings.Repeat(" ", 4<<20)), 502, 0},
		{"no Bundle", one, 502, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, withEHR(says(c.body)))
			r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Patient?birthdate=1970-01-01&family=Oddwick")
			if r.status != c.status || len(r.json().Get("entry").Array()) != c.found || r.json().Get("total").Exists() {
				t.Errorf("%d %s", r.status, r.body)
			}
			if rec := w.record(r); rec.Status != c.status {
				t.Errorf("record %+v", rec)
			}
		})
	}
}
