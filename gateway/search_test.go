package gateway_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/policies"
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

// TestMisspeltSearch refuses a dataset whose search names no parameter of FHIR.
func TestMisspeltSearch(t *testing.T) {
	dir := t.TempDir()
	check(t, os.CopyFS(dir, policies.Default()))
	name := filepath.Join(dir, "halfdoor/datasets/access/data.yaml")
	text, err := os.ReadFile(name)
	check(t, err)
	check(t, os.WriteFile(name, []byte(strings.Replace(string(text), "family+birthdate", "family+birthdat", 1)), 0o600))
	if _, err := gateway.Policies(dir); err == nil || err.Error() != `dataset access: search: Patient has no parameter "birthdat"` {
		t.Errorf("got %v", err)
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
