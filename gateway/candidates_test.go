package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// namesakes is an EHR with so many patients of one name and birth date, of whom every third is
// restricted; it gives pages of at most its size.
type namesakes struct {
	patients, page int
	asked          atomic.Pointer[url.Values]
}

func (n *namesakes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n.asked.Store(&q)
	var count int
	_, _ = fmt.Sscan(q.Get("_count"), &count)
	if count == 0 || count > n.page {
		count = n.page
	}
	base := "http://" + r.Host + demo.BasePath
	w.Header().Set("Content-Type", "application/fhir+json")
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","total":%d,"link":[{"relation":"self","url":"%s/Patient?%s"}`, n.patients, base, r.URL.RawQuery)
	if n.patients > count {
		fmt.Fprintf(w, `,{"relation":"next","url":"%s/Patient?_offset=%d"}`, base, count)
	}
	fmt.Fprint(w, `],"entry":[`)
	for i := range min(count, n.patients) {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		label := ""
		if i%3 == 2 {
			label = `"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}],`
		}
		fmt.Fprintf(w, `{"fullUrl":"%s/Patient/p%d","resource":{"resourceType":"Patient","id":"p%d","meta":{%s"versionId":"1"},"name":[{"family":"Oddwick"}],"birthDate":"1970-01-01"},"search":{"mode":"match","score":0.5}}`, base, i, i, label)
	}
	fmt.Fprint(w, `]}`)
}

// TestCandidates looks a patient up by what is hidden: few are shown, more are not.
func TestCandidates(t *testing.T) {
	ehr := &namesakes{page: 100}
	w := newWorld(t, withEHR(ehr))
	token := w.token("demo-scheduling", demo.TokenOptions{}) // shows 5 candidates, whose names are hidden
	const who = "/Patient?family=Oddwick&birthdate=1970-01-01"
	for _, c := range []struct {
		name           string
		patients, page int
		query          string
		found          int // -1: too many
	}{
		{"nobody", 0, 100, "", 0},
		{"few", 4, 100, "", 3},
		{"as many as may be", 7, 100, "", 5},
		{"one more", 8, 100, "", -1},
		{"many", 50, 100, "", -1},
		{"many, of whom the first page shows few", 50, 6, "", -1},
		{"fewer than the client's own count", 2, 100, "&_count=2", 2},
		{"more than the client's own count", 4, 100, "&_count=2", -1},
		{"a larger count does not help", 8, 100, "&_count=500", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ehr.patients, ehr.page = c.patients, c.page
			r := w.get(token, who+c.query)
			if c.found < 0 {
				if r.status != 422 || r.code() != "too-many-candidates" || strings.Contains(string(r.body), "entry") {
					t.Fatalf("%d %s", r.status, r.body)
				}
				if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "too-many-candidates" || len(rec.Subjects)+len(rec.Patients) != 0 {
					t.Errorf("record %+v", rec)
				}
				return
			}
			entries := r.json().Get("entry").Array()
			if r.status != 200 || len(entries) != c.found {
				t.Fatalf("%d, %d entries: %s", r.status, len(entries), r.body)
			}
			if links := r.json().Get("link").Array(); len(links) != 1 || links[0].Get("relation").String() != "self" {
				t.Errorf("links %s", r.json().Get("link").Raw)
			}
			for _, e := range entries {
				if e.Get("search.score").Float() != 0.5 {
					t.Errorf("without its score: %s", e.Raw)
				}
			}
		})
	}
	if counts := (*ehr.asked.Load())["_count"]; len(counts) != 1 {
		t.Errorf("the EHR is asked for %q", counts)
	}
	for _, query := range []string{"&_count=0"} {
		if r := w.get(token, who+query); r.status != 403 || r.code() != "not-supported" {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	// What is found by elements that are shown is no lookup of an identity.
	ehr.patients, ehr.page = 30, 100
	if r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Patient?family=Oddwick"); r.status != 200 || len(r.json().Get("entry").Array()) != 20 {
		t.Errorf("an open search: %d %s", r.status, r.body)
	}
}
