package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestStandbyURLs has the EHR's first address die in the middle of a search: its next page, and writes, come from the
// second, whose names for resources are the EHR's own as well. Nothing of either address leaves.
func TestStandbyURLs(t *testing.T) {
	var w *world
	sandbox := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.sandbox.ServeHTTP(rw, r) })
	first, second := httptest.NewServer(sandbox), httptest.NewServer(sandbox)
	defer first.Close()
	defer second.Close()
	w = newWorld(t, ehrSettings(`standby_urls: ["`+second.URL+demo.BasePath+`"]`, func(y string) string {
		return regexp.MustCompile(`base_url: .*`).ReplaceAllString(y, `base_url: "`+first.URL+demo.BasePath+`"`)
	}))
	w.sandbox.SetBaseURL(first.URL + demo.BasePath)
	token := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}})
	_, _, patient := w.booked(token)

	own := func(r reply) {
		t.Helper()
		for _, server := range []*httptest.Server{first, second} {
			if strings.Contains(string(r.body), strings.TrimPrefix(server.URL, "http://")) {
				t.Errorf("an address of the EHR leaves: %s", r.body)
			}
		}
		for _, e := range r.json().Get("entry.#.fullUrl").Array() {
			if !strings.HasPrefix(e.String(), w.fhir+"/") {
				t.Errorf("fullUrl %s", e)
			}
		}
	}
	page := w.get(token, "/Location?_count=1")
	own(page)
	next := page.json().Get(`link.#(relation=="next").url`).String()
	if page.status != 200 || next == "" {
		t.Fatalf("%d %s", page.status, page.body)
	}

	first.CloseClientConnections()
	first.Close()
	w.sandbox.SetBaseURL(second.URL + demo.BasePath)
	for range 2 {
		r := w.get(token, next)
		own(r)
		if next = r.json().Get(`link.#(relation=="next").url`).String(); r.status != 200 || len(r.json().Get("entry.#.fullUrl").Array()) == 0 || next == "" {
			t.Fatalf("a page at the second address: %d %s", r.status, r.body)
		}
	}
	r := w.put("POST", token, "/Communication", reminder(patient, ""))
	own(r)
	if location := r.header.Get("Location"); r.status != 201 || !strings.HasPrefix(location, w.fhir+"/Communication/") {
		t.Fatalf("%d %s: %s", r.status, location, r.body)
	}
	_, body := w.ask("GET", "/status", w.adminToken())
	if got := gjson.Get(body, "ehrs.0.addresses.#.in_use").Raw; got != "[false,true]" {
		t.Errorf("in use: %s", got)
	}

	second.CloseClientConnections()
	second.Close()
	w.refused(w.get(token, "/Location?_count=2"), "both are dead", "502 ehr-unreachable")
	r = w.put("POST", token, "/Communication", reminder(patient, ""))
	if _, end := w.intent(r); r.status != 502 || r.code() != "ehr-unreachable" || end.Kind != accesslog.KindRefusal {
		t.Errorf("a write that reached neither: %d %s", r.status, r.body)
	}
}
