package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// labelPages is a configuration whose EHR cannot leave out what has a denied label.
func labelPages(y string) string {
	return strings.Replace(y, "    path: /fhir\n", "    path: /fhir\n    insecure_label_pages: true\n", 1)
}

// TestPagesOfLabels turns every page of a search, of one entry and of two: none is short but the
// last, none is empty, and all visible appointments come. Of those that are withheld nothing tells.
func TestPagesOfLabels(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	want := visible(w.sandbox, "Appointment")
	if all := len(w.sandbox.IDs("Appointment")); all == want {
		t.Fatal("no appointment has a denied label")
	}
	for _, size := range []int{1, 2} {
		path, found := "/Appointment?_sort=date&_count="+string(rune('0'+size)), 0
		for path != "" {
			r := w.get(token, path)
			n := len(r.json().Get("entry").Array())
			next := r.json().Get(`link.#(relation=="next").url`).String()
			if found += n; r.status != 200 || n == 0 || n < size && next != "" {
				t.Fatalf("after %d: %d, %d of %d entries, next %t", found, r.status, n, size, next != "")
			}
			path = strings.TrimPrefix(next, w.fhir)
			if found > want {
				break
			}
		}
		if found != want {
			t.Errorf("%d by %d, want %d", found, size, want)
		}
	}
}

// TestLabelSearch has the EHR asked to leave out each denied label, in every kind of search, and
// not where the configuration says that it cannot.
func TestLabelSearch(t *testing.T) {
	for name, settings := range map[string][]setting{"asked": nil, "not asked": {withConfig(labelPages)}} {
		var mu sync.Mutex
		var queries []string
		sandbox := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40})
		listening := withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			queries = append(queries, r.URL.RawQuery)
			mu.Unlock()
			sandbox.ServeHTTP(rw, r)
		}))
		w := newWorld(t, append(settings, listening)...)
		sandbox.SetBaseURL(w.ehrURL)
		token := w.token("demo-scheduling", demo.TokenOptions{})
		patient := w.get(token, "/Patient?_count=1").json().Get("entry.0.resource.id").String()
		for _, path := range []string{"/Appointment?status=booked", "/Patient/" + patient + "/Appointment", "/?_type=Appointment,Task", "/Appointment?_include=Appointment:patient"} {
			if r := w.get(token, path); r.status != 200 {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		mu.Lock()
		const system = "_security:not=http://terminology.hl7.org/CodeSystem/v3-Confidentiality%7C"
		for _, q := range queries {
			for _, code := range []string{"R", "V"} {
				if strings.Contains("&"+q+"&", "&"+system+code+"&") != (name == "asked") {
					t.Errorf("%s: %q", name, q)
				}
			}
		}
		if len(queries) < 5 {
			t.Errorf("%s: %q", name, queries)
		}
		mu.Unlock()
	}
}
