package probe

import (
	"encoding/json"
	"strings"
)

func batchChecks() []Check {
	return []Check{
		{Name: "leak/batch", Attack: "hidden types and searches as entries of a batch or transaction",
			Sentence: "Batches and transactions that read hidden types, search by hidden elements, widen and include: nothing hidden is in any entry's answer.",
			Advice:   "Parse, permit, decide and filter every entry as a call of its own.", do: batch},
		{Name: "leak/batch-url", Attack: "absolute or protocol-relative URLs in batch entries",
			Sentence: "Entries whose request.url is absolute, protocol-relative, escaped or leads upwards: refused in place, and no other server is called.",
			Advice:   "Take relative URLs only, by the same grammar as a request's path.", do: batchURL},
		{Name: "leak/batch-search", Attack: "search oracles in a batch",
			Sentence: "Entries that search by hidden elements, with a value that is there and one that is not: the answers are the same.",
			Advice:   "Admit an entry's parameters as a search's.",
			do: func(a *attempt) {
				for _, q := range a.hidden() {
					a.each(q, func(hit, other string) {
						a.compare(func(v string) answer {
							got := a.bundle("batch", "GET "+q.kind+"?"+pair(q.parameter, v))
							got.what = "batch entry GET " + q.kind + "?" + pair(q.parameter, v)
							got.body = []byte(got.json().Get("entry.0.resource").Raw)
							return got
						}, hit, other)
					})
				}
			}},
	}
}

// bundle posts a batch or transaction of "METHOD url" entries.
func (a *attempt) bundle(kind string, requests ...string) answer {
	var entries []node
	for _, one := range requests {
		method, url, _ := strings.Cut(one, " ")
		entries = append(entries, node{"request": node{"method": method, "url": url}})
	}
	body, err := json.Marshal(node{"resourceType": "Bundle", "type": kind, "entry": entries})
	if err != nil {
		return answer{err: err}
	}
	got := a.post("", fhirType, string(body))
	got.what = kind + " of " + shorten(strings.Join(requests, ", "))
	return got
}

// within are the resources of a batch's answer, those of Bundles in it too.
func within(got answer) answer {
	var all []string
	for _, e := range got.entries() {
		if e.Get("resourceType").Str == "Bundle" {
			for _, r := range e.Get("entry.#.resource").Array() {
				all = append(all, `{"resource":`+r.Raw+`}`)
			}
			continue
		}
		all = append(all, `{"resource":`+e.Raw+`}`)
	}
	got.body = []byte(`{"resourceType":"Bundle","entry":[` + strings.Join(all, ",") + `]}`)
	return got
}

func batch(a *attempt) {
	id := a.id("patient")
	requests := []string{
		"GET Observation?_count=3", "GET Condition?_count=3", "GET " + a.ref("observation"), "GET Patient/" + id + "/$everything", "GET Patient/" + id + "?_elements=address,telecom",
		"GET Patient?_id=" + id + "&_revinclude=Observation:patient", "GET Appointment?_include=*&_count=3", "GET Patient/" + id + "/_history", "GET " + a.ref("patient"), "GET " + a.ref("appointment"),
		"GET Patient/" + a.id("restricted"), "GET _history", "GET Patient/" + id + "?_format=xml",
	}
	for _, kind := range []string{"batch", "transaction"} {
		a.hiddenIn(a.bundle(kind, requests...))
		for _, one := range requests {
			a.hiddenIn(a.bundle(kind, one))
		}
	}
	body := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Patient/_search?` + a.canaries.identifier("patient") + `&_revinclude=Observation:patient"}}]}`
	a.hiddenIn(a.post("/", fhirType, body))
}

// hiddenIn judges each entry of a batch's answer.
func (a *attempt) hiddenIn(got answer) {
	if got.allowed() {
		a.hiddenOnly(within(got))
	}
	a.seek(answer{what: got.what, header: got.header}, nil)
}

func batchURL(a *attempt) {
	t, err := newTrap()
	if err != nil {
		a.skipped = "no listener on loopback"
		return
	}
	defer t.close()
	urls := []string{
		t.url + "/Practitioner/1", "//" + t.host + "/fhir/Practitioner/1", "http:" + t.host + "/fhir/Practitioner/1", "/../Observation?_count=3", "../Observation?_count=3", "/Observation?_count=3", "%4fbservation?_count=3",
		"Appointment/../Observation", "Observation#x", "\\\\" + t.host + "\\fhir\\Practitioner\\1", "Appointment?_count=1#" + t.url, "file:///etc/passwd", "Appointment\r\nX: y", " Observation", "urn:uuid:0",
		a.target.address("/Observation?_count=3"),
	}
	if a.ehr != nil {
		urls = append(urls, a.ehr.base.String()+"/Observation?_count=3", a.ehr.base.String()+"/Patient/"+a.ehr.id("patient"))
	}
	for _, u := range urls {
		for _, kind := range []string{"batch", "transaction"} {
			got := a.bundle(kind, "GET "+u)
			a.hiddenIn(got)
			if where, ok := got.holds(t.bait); ok {
				a.fail("it came from another server: %s, %s", got.what, where)
			}
		}
	}
	if n := t.calls(); n > 0 {
		a.fail("the gateway called the server that an entry names, %d times", n)
	}
}
