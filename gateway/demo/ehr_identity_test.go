package demo_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestMatch finds patients by what is known of one, the likeliest first.
func TestMatch(t *testing.T) {
	e := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
	id := e.IDs("Patient")[3]
	body, _ := e.Resource("Patient", id)
	family, born := gjson.GetBytes(body, "name.0.family").String(), gjson.GetBytes(body, "birthDate").String()
	number := gjson.GetBytes(body, "identifier.0.value").String()
	match := func(parameters string) (int, gjson.Result) {
		t.Helper()
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest("POST", "/fhir/Patient/$match", strings.NewReader(`{"resourceType":"Parameters","parameter":[`+parameters+`]}`)))
		return w.Code, gjson.Parse(w.Body.String())
	}
	resource := func(members string) string {
		return `{"name":"resource","resource":{"resourceType":"Patient",` + members + `}}`
	}
	for _, c := range []struct {
		name, in, grade string
		score           float64
	}{
		{"number", resource(fmt.Sprintf(`"identifier":[{"value":%q}]`, number)), "certain", 1},
		{"name and birth date", resource(fmt.Sprintf(`"name":[{"family":%q}],"birthDate":%q`, strings.ToUpper(family), born)), "certain", 1},
		{"another first name", resource(fmt.Sprintf(`"name":[{"family":%q,"given":["Nobody"]}],"birthDate":%q`, family, born)), "probable", 0.8},
		{"another birth date", resource(fmt.Sprintf(`"name":[{"family":%q}],"gender":%q,"birthDate":"1900-01-01"`, family, gjson.GetBytes(body, "gender").String())), "", 0},
	} {
		status, doc := match(c.in)
		first := doc.Get("entry.0")
		if c.grade == "" {
			if status != 200 || doc.Get(`entry.#(resource.id=="`+id+`")`).Exists() {
				t.Errorf("%s: %d %s", c.name, status, doc)
			}
			continue
		}
		if status != 200 || first.Get("resource.id").String() != id || first.Get("search.score").Float() != c.score || first.Get("search.extension.0.valueCode").String() != c.grade {
			t.Errorf("%s: %d %s", c.name, status, first)
		}
	}
	unsure := resource(fmt.Sprintf(`"name":[{"family":%q,"given":["Nobody"]}],"birthDate":%q`, family, born))
	if status, doc := match(unsure + `,{"name":"onlyCertainMatches","valueBoolean":true}`); status != 200 || doc.Get("total").Int() != 0 || doc.Get("entry").Exists() {
		t.Errorf("only certain ones: %d %s", status, doc)
	}
	if status, doc := match(resource(`"gender":"male"`) + `,{"name":"count","valueInteger":2}`); status != 200 || len(doc.Get("entry").Array()) != 2 || doc.Get("total").Int() <= 2 {
		t.Errorf("two of many: %d %s", status, doc.Get("total"))
	}
	for _, in := range []string{"", resource(`"maritalStatus":{}`), `{"name":"resource","resource":{"resourceType":"Person"}}`} {
		if status, _ := match(in); status != 400 {
			t.Errorf("%q: %d", in, status)
		}
	}
}
