package probe

import (
	"encoding/json"
	"strings"
)

func requestChecks() []Check {
	return []Check{
		{Name: "refuse/post-search-disagrees", Attack: "POST _search whose body and query disagree", needs: needsEHR,
			Sentence: "A query that names one patient and a body that names another: refused, or what is both (nothing), never one of the two.",
			Advice:   "Read query and body as one set of parameters, and refuse where they disagree.", do: disagree},
		{Name: "refuse/content-type", Attack: "wrong content types",
			Sentence: "Searches and writes with bodies of wrong, missing and doubled content types, charsets and codings: each is refused.",
			Advice:   "Demand the one content type of each interaction, with 415 for all others.", do: contentType},
		{Name: "refuse/repeated-parameter", Attack: "repeated parameters",
			Sentence: "Parameters that may stand once, given twice with different values; two ids: refused, or what is both, never the wider of the two.",
			Advice:   "Refuse a result parameter that stands twice.", do: twice},
		{Name: "leak/id-prefix", Attack: "id prefix confusion (Patient/1 and Patient/12)",
			Sentence: "Ids that begin as a known one does, or go on from it, in reads and reference searches: they name nothing.",
			Advice:   "Compare ids whole.", do: prefixes},
		{Name: "refuse/method-override", Attack: "method override headers",
			Sentence: "GET and POST with X-HTTP-Method-Override and its like, naming DELETE, PUT and GET: no other method is carried out.",
			Advice:   "Refuse method override headers, and send none to the EHR.", do: override},
	}
}

func disagree(a *attempt) {
	one, other := a.canaries.identifier("patient"), a.canaries.identifier("deleted")
	ids := [][2]string{{one, other}, {other, one}}
	if id := a.id("patient"); id != "" {
		ids = append(ids, [2]string{"_id=" + id, "_id=" + id + "0"}, [2]string{"_id=" + id + "0", "_id=" + id})
	}
	for _, pair := range ids {
		got := a.posted("Patient", pair[0], pair[1])
		if got.allowed() && len(got.entries()) > 0 && got.json().Get("resourceType").Str == "Bundle" && got.json().Get("entry.0.resource.resourceType").Str == "Patient" {
			a.fail("one of the two was believed: %s found %d", got.what, len(got.entries()))
		}
	}
}

func contentType(a *attempt) {
	form := "_count=1"
	accepted := func(got answer, contentType string) {
		if got.allowed() {
			a.fail("a body of %s was taken: %s answers %s", contentType, got.what, got.says())
		}
	}
	for _, t := range []string{"application/json", "application/fhir+json", "text/plain", "multipart/form-data; boundary=x", "application/xml", "application/x-www-form-urlencoded; charset=utf-7", "application/x-www-form-urlencoded, application/json"} {
		accepted(a.post("/Appointment/_search", t, form), t)
	}
	resource, err := json.Marshal(node{"resourceType": "Basic", "code": node{"text": a.canaries.run}, "identifier": []node{{"system": system, "value": a.canaries.name("typed")}}})
	if err != nil {
		return
	}
	for _, t := range []string{"text/plain", "application/x-www-form-urlencoded", "application/fhir+xml", "application/fhir+json; charset=utf-16"} {
		accepted(a.post("/Basic", t, string(resource)), t)
	}
	accepted(a.post("/Appointment/_search", formType, form, "Content-Encoding", "gzip"), "a false content coding")
	for _, lines := range []string{"Content-Type: application/x-www-form-urlencoded\r\nContent-Type: application/json\r\n", ""} {
		got := a.converse("POST "+a.target.base.Path+"/Appointment/_search HTTP/1.1\r\nHost: "+a.target.base.Host+"\r\n"+a.credentials()+lines+"Content-Length: 8\r\nConnection: close\r\n\r\n"+form, 1)[0]
		kind := "two types"
		if lines == "" {
			kind = "no type"
		}
		accepted(got, kind)
	}
}

func twice(a *attempt) {
	wide := a.get("/Appointment?_count=20")
	for _, q := range []string{"_count=1&_count=20", "_count=20&_count=1"} {
		got := a.get("/Appointment?" + q)
		if got.allowed() && wide.allowed() && len(got.entries()) > 1 {
			a.fail("the wider of two was believed: %s found %d", got.what, len(got.entries()))
		}
	}
	for _, q := range []string{"_format=json&_format=xml", "_format=xml&_format=json"} {
		a.formatted(a.get("/Appointment?_count=1&" + q))
	}
	if id := a.id("patient"); id != "" {
		for _, q := range []string{"_id=" + id + "&_id=" + id + "0", "_id=" + id + "0&_id=" + id} {
			got := a.get("/Patient?" + q)
			for _, e := range got.entries() {
				if e.Get("resourceType").Str == "Patient" {
					a.fail("one of two was believed: %s found a patient", got.what)
				}
			}
		}
	}
}

func prefixes(a *attempt) {
	for _, key := range []string{"patient", "appointment", "restricted"} {
		id := a.id(key)
		if id == "" {
			continue
		}
		kind, _, _ := strings.Cut(a.ref(key), "/")
		for _, near := range []string{id + "0", id + "1", id + "-", id + ".", id[:len(id)-1], "0" + id, strings.ToUpper(id), strings.ToLower(id), id + "%00", id + "%20", id + ",", id + "|1"} {
			if near == id || near == "" {
				continue
			}
			for _, path := range []string{"/" + kind + "/" + near, "/" + kind + "?_id=" + near} {
				a.near(a.get(path), kind, id)
			}
			if kind != "Patient" {
				continue
			}
			for _, path := range []string{"/Appointment?patient=" + near, "/Appointment?patient=Patient/" + near, "/Appointment?actor=Patient/" + near} {
				for _, e := range a.get(path).entries() {
					if strings.Contains(e.Raw, "Patient/"+id+`"`) {
						a.fail("an id was taken for another that it begins with or goes on from: a search of Appointment found the patient's")
					}
				}
			}
		}
	}
}

// near fails where an id names a resource of another id.
func (a *attempt) near(got answer, kind, id string) {
	for _, e := range got.entries() {
		if e.Get("resourceType").Str == kind && e.Get("id").Str == id {
			a.fail("an id was taken for another that it begins with or goes on from: a read or search of %s found it", kind)
		}
	}
}

// override aims at what was planted alone.
func override(a *attempt) {
	key := "message"
	if a.ehr == nil || a.ehr.id(key) == "" {
		for _, header := range []string{"X-HTTP-Method-Override", "X-Method-Override"} {
			got := a.send(request{method: "POST", path: "/Appointment?_count=1", token: a.o.Token, header: []string{header, "GET"}})
			if got.allowed() && got.json().Get("resourceType").Str == "Bundle" {
				a.fail("a POST with %s: GET was answered as a GET", header)
			}
		}
		return
	}
	ids := []string{a.ids[key], a.ehr.id(key)}
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method"} {
		for _, id := range ids {
			for _, method := range []string{"GET", "POST"} {
				got := a.send(request{method: method, path: "/Communication/" + id, token: a.o.Token, header: []string{header, "DELETE"}})
				if method == "POST" && got.allowed() {
					a.fail("POST with %s: DELETE was answered with %s", header, got.says())
				}
			}
		}
		got := a.send(request{method: "POST", path: "/Communication/" + ids[0], token: a.o.Token, header: []string{header, "GET"}})
		if got.allowed() {
			a.fail("POST with %s: GET was answered with %s", header, got.says())
		}
	}
	if _, there := a.ehr.current(a.ctx, "Communication", a.ehr.id(key)); !there {
		a.fail("a method override deleted a resource")
	}
}
