package demo_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

var searchSeeds = map[string]int{
	"family=qui&birthdate=ge1990&_sort=-birthdate,family&_count=3&_offset=2": 200,
	"identifier=a|b,|c,d|&gender:not=female&name:missing=false":              200,
	"_has:Task:patient:status=requested&general-practitioner.name=Dr":        200,
	"_revinclude=Appointment:patient&_include:iterate=Patient:organization":  200,
	`family=a\,b\|c\$d\\&_lastUpdated=le2026-05-01T10:00:00.5Z`:              200,
	"birthdate=zz&x=1": 400,
	"_has:a:b":         400,
	"%zz":              400,
}

// Whatever is asked, the answer is JSON: a searchset or an OperationOutcome.
func FuzzSearch(f *testing.F) {
	e := demo.NewEHR(demo.EHROptions{Patients: 12, BaseURL: base})
	ask := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/fhir/Patient", RawQuery: query}, Header: http.Header{}})
		return w
	}
	for seed, want := range searchSeeds {
		if got := ask(seed); got.Code != want {
			f.Fatalf("seed %q: %d %s", seed, got.Code, got.Body)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		w := ask(query)
		kind := `"resourceType":"Bundle"`
		if w.Code != http.StatusOK {
			kind = `"resourceType":"OperationOutcome"`
		}
		if !json.Valid(w.Body.Bytes()) || !strings.Contains(strings.ReplaceAll(w.Body.String(), ": ", ":"), kind) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	})
}
