package probe

import (
	"fmt"
	"strings"
)

func pathChecks() []Check {
	return []Check{
		{Name: "leak/encoded-path", Attack: "percent-encoded types and dots",
			Sentence: "Types, slashes and dots in one or two layers of percent encoding, and dot segments: they lead to nothing hidden and out of nothing.",
			Advice:   "Decode a path once, and refuse what then is not of FHIR's alphabet.", do: encoded},
		{Name: "leak/double-slash", Attack: "//",
			Sentence: "Empty segments, trailing slashes, backslashes and path parameters: they lead to nothing hidden.",
			Advice:   "Refuse empty segments; do not let the EHR's reading of a path differ from the gateway's.", do: slashes},
		{Name: "wire/absolute-form", Attack: "absolute-form targets",
			Sentence: "Request targets with another scheme and host, CONNECT and authority forms: refused, or answered as if for the gateway; no other server is called.",
			Advice:   "Refuse a target whose authority is not the gateway's.", do: absoluteForm},
		{Name: "wire/host", Attack: "Host tricks",
			Sentence: "Another Host, none, two, X-Forwarded-Host, Forwarded and X-Original-URL: no answer names that host, and no path changes.",
			Advice:   "Build addresses from the configured public URL; believe forwarding headers from known proxies only.", do: hosts},
	}
}

func encoded(a *attempt) {
	id, credentials := a.id("patient"), a.credentials()
	for _, target := range []string{
		"/%4fbservation?_count=3", "/%4Fbservatio%6e?_count=3", "/%254fbservation?_count=3", "/Observation%2f" + a.id("observation"), "/Observation%252f" + a.id("observation"),
		"/Appointment/../Observation?_count=3", "/Appointment/%2e%2e/Observation?_count=3", "/Appointment/%2e%2e%2fObservation", "/Appointment/%252e%252e/Observation", "/./Observation?_count=3",
		"/Appointment/..%2fObservation", "/Appointment/..%5cObservation", "/Appointment/.%2e/Condition?_count=3", "/metadata/..%2fObservation", "/Patient%00/" + id, "/Observation%20?_count=3",
		"/Patient/" + id + "/%24everything", "/Patient/" + id + "%2f$everything", "/Patient/" + id + "/../../Observation", "/%5fhistory", "/..%2f..%2fObservation", "/%c0%ae%c0%ae/Observation", "/Observatio\u006e%3f_count=3",
	} {
		a.hiddenOnly(a.rawGet(target, credentials))
	}
}

func slashes(a *attempt) {
	credentials := a.credentials()
	for _, target := range []string{
		"//Observation?_count=3", "/Appointment//Observation?_count=3", "/Observation/?_count=3", "//Patient//" + a.id("patient") + "//$everything", "/Appointment;/Observation", "/Observation;x=1?_count=3",
		"/Appointment\\..\\Observation", "\\Observation", "/Patient/" + a.id("patient") + "//Observation", "/.//Observation", "///Condition?_count=3",
	} {
		a.hiddenOnly(a.rawGet(target, credentials))
	}
}

// hiddenOnly fails where an answer has a resource of a type that may not leave at all, or a
// canary.
func (a *attempt) hiddenOnly(got answer) {
	for i, e := range got.entries() {
		kind := e.Get("resourceType").Str
		if kind != "OperationOutcome" && kind != "CapabilityStatement" && kind != "Bundle" && !a.judge.plan.Has(kind) {
			a.fail("%s came back: %s, resource %d", kind, got.what, i)
			return
		}
	}
	a.seek(got, nil)
}

func absoluteForm(a *attempt) {
	t, err := newTrap()
	if err != nil {
		a.skipped = "no listener on loopback"
		return
	}
	defer t.close()
	path := a.target.base.Path + "/Appointment?_count=1"
	for _, line := range []string{"GET " + t.url + "/Practitioner/1", "GET http://" + t.host + path, "GET //" + t.host + path, "CONNECT " + t.host, "GET http://x@" + t.host + path, "GET ftp://" + t.host + path, "OPTIONS *", "GET " + t.host + path} {
		for _, host := range []string{t.host, a.target.base.Host} {
			got := a.converse(fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", line, host, a.credentials()), 1)[0]
			if where, ok := got.holds(t.bait); ok {
				a.fail("it came from another server: %s, %s", got.what, where)
			}
			if where, ok := got.holds(t.host); ok && got.allowed() {
				a.fail("the answer names the host of the target: %s, %s", got.what, where)
			}
		}
	}
	if n := t.calls(); n > 0 {
		a.fail("the gateway called another server for its client, %d times", n)
	}
}

func hosts(a *attempt) {
	const evil = "evil.halfdoor.example"
	path := a.target.base.Path + "/Appointment?_count=1"
	for _, lines := range [][]string{
		{"Host: " + evil}, {"Host: " + a.target.base.Host, "X-Forwarded-Host: " + evil}, {"Host: " + a.target.base.Host, "Forwarded: host=" + evil + ";proto=http"},
		{"Host: " + a.target.base.Host, "Host: " + evil}, {"Host: " + evil + ":443@" + a.target.base.Host}, {"X-Host: " + evil}, {"Host: " + a.target.base.Host, "X-Forwarded-Prefix: /" + evil},
		{"Host: " + a.target.base.Host, "X-Original-URL: /fhir/Observation", "X-Rewrite-URL: /fhir/Observation"},
	} {
		for _, p := range []string{path, a.target.base.Path + "/metadata"} {
			got := a.converse(fmt.Sprintf("GET %s HTTP/1.1\r\n%s\r\n%sConnection: close\r\n\r\n", p, strings.Join(lines, "\r\n"), a.credentials()), 1)[0]
			if where, ok := got.holds(evil); ok {
				a.fail("an answer names the host that the client made up (%s): %s, %s", lines[len(lines)-1], got.what, where)
			}
			a.ledAway(got)
		}
	}
}

// ledAway fails where a header that names a path was followed.
func (a *attempt) ledAway(got answer) {
	for _, e := range got.entries() {
		if kind := e.Get("resourceType").Str; kind == "Observation" {
			a.fail("a header led to another path: %s answered an Observation", got.what)
		}
	}
}
