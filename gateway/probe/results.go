package probe

import (
	"bytes"
	"fmt"
	"strconv"
)

func resultChecks() []Check {
	return []Check{
		{Name: "leak/elements", Attack: "_elements widening",
			Sentence: "_elements that names hidden elements, in reads and searches: none of them comes.",
			Advice:   "Apply _elements after the filter, or not at all: it may only narrow.", do: elements},
		{Name: "leak/summary", Attack: "_summary widening (text, data, true, count)",
			Sentence: "_summary in every form: no narrative and no hidden element comes, and a count tells nothing of what is hidden.",
			Advice:   "Filter an answer the same way whatever its _summary; let a count leave only where nothing can be dropped.", do: summary},
		{Name: "leak/total", Attack: "total counting what is hidden", needs: needsEHR,
			Sentence: "Searches that a restricted resource meets, with _total and _summary=count: it is not counted.",
			Advice:   "Withhold total where entries can be dropped.", do: total},
		{Name: "leak/format-xml", Attack: "_format=xml and other formats",
			Sentence: "XML, Turtle, HTML and CSV, by _format and by Accept: refused, or answered in filtered JSON.",
			Advice:   "Refuse every format that is not filtered.", do: formats},
		{Name: "leak/pretty", Attack: "_pretty",
			Sentence: "_pretty=true and _format=json: the answer is filtered as ever.",
			Advice:   "Filter by the grammar of JSON, not by its layout.",
			do: func(a *attempt) {
				for _, path := range []string{"/" + a.ref("patient"), "/" + a.ref("appointment"), "/Appointment", "/Patient"} {
					for _, q := range []string{"?_pretty=true", "?_pretty=true&_format=json", "?_pretty=1", "?_format=application/fhir%2Bjson&_pretty=false"} {
						a.seek(a.get(path+q), nil)
					}
				}
			}},
		{Name: "leak/head", Attack: "HEAD telling a length",
			Sentence: "HEAD of what can be read: no body, and no length but that of the filtered answer.",
			Advice:   "Answer HEAD as GET without a body; send no Content-Length or entity tag of the EHR's.", do: head},
		{Name: "leak/range", Attack: "Range",
			Sentence: "Range and If-Range: the whole filtered answer or a refusal, never a part, and no length of the original.",
			Advice:   "Ignore Range, and never send it to the EHR.", do: ranges},
	}
}

func elements(a *attempt) {
	for _, wanted := range []string{"birthDate,address,telecom,name", "text,contained,extension,identifier", "*", "reasonCode,description,comment", "participant.actor.display", "id,meta,text,note,payload,code,input"} {
		for _, kind := range []string{"Patient", "Appointment", "Task", "Communication"} {
			key := keyOf(kind)
			a.seek(a.get("/"+a.ref(key)+"?_elements="+wanted), nil)
			a.seek(a.get("/"+kind+"?_count=20&_elements="+wanted), nil)
			if a.ehr != nil {
				a.seek(a.get("/"+kind+"?"+a.canaries.identifier(key)+"&_elements="+wanted), nil)
			}
		}
	}
}

func summary(a *attempt) {
	for _, form := range []string{"true", "text", "data", "false", "count"} {
		for _, kind := range []string{"Patient", "Appointment"} {
			key := keyOf(kind)
			a.seek(a.get("/"+a.ref(key)+"?_summary="+form), nil)
			a.seek(a.get("/"+kind+"?_count=20&_summary="+form), nil)
			if a.ehr != nil {
				a.seek(a.get("/"+kind+"?"+a.canaries.identifier(key)+"&_summary="+form), nil)
			}
		}
	}
	for _, q := range a.hidden() {
		a.each(q, func(hit, other string) { a.differ(q.kind, "_summary=count", q.parameter, hit, other) })
	}
}

func total(a *attempt) {
	gone := "identifier=" + system + "%7C" + miss
	for _, q := range []string{"", "&_summary=count", "&_total=accurate", "&_total=estimate", "&_count=0", "&_count=1"} {
		there, not := a.get("/Patient?"+a.canaries.identifier("restricted")+q), a.get("/Patient?"+gone+q)
		if there.asked() != not.asked() {
			a.fail("the restricted patient is counted: %s answers %s, a made-up one %s", there.what, there.asked(), not.asked())
		}
	}
}

func formats(a *attempt) {
	paths := []string{"/" + a.ref("patient"), "/" + a.ref("appointment"), "/Appointment"}
	for _, path := range paths {
		for _, f := range []string{"xml", "application/fhir%2Bxml", "text/xml", "ttl", "html", "text/csv", "json&_format=xml"} {
			a.formatted(a.get(path + "?_format=" + f))
		}
		for _, accept := range []string{"application/fhir+xml", "application/xml", "text/html", "text/turtle", "application/fhir+ndjson", "application/fhir+xml;q=1, application/fhir+json;q=0.1"} {
			a.formatted(a.get(path, "Accept", accept))
		}
	}
}

// formatted fails where an answer is in a form that is no JSON and holds a resource.
func (a *attempt) formatted(got answer) {
	a.seek(got, nil)
	if got.allowed() && len(got.body) > 0 && bytes.IndexByte([]byte("{ \n\r\t"), got.body[0]) < 0 && bytes.Contains(got.body, []byte("http://hl7.org/fhir")) {
		a.fail("FHIR left in a form that is not JSON: %s, %s", got.what, shorten(got.header.Get("Content-Type")))
	}
}

func head(a *attempt) {
	for _, path := range []string{"/" + a.ref("patient"), "/" + a.ref("appointment"), "/Appointment?_count=5", "/Patient/" + a.id("restricted"), "/Patient/no-such-patient"} {
		got := a.send(request{method: "HEAD", path: path, token: a.o.Token})
		full := a.get(path)
		a.seek(got, nil)
		if got.err != nil {
			continue
		}
		if got.status != full.status {
			a.fail("HEAD answers %d where GET answers %d: %s", got.status, full.status, got.what)
		}
		n, err := strconv.Atoi(got.header.Get("Content-Length"))
		if err == nil && got.allowed() && n != len(full.body) {
			a.fail("the length is not that of what may leave: %s says %d bytes, and GET brings %d", got.what, n, len(full.body))
		}
	}
	a.raw200("HEAD")
}

// raw200 fails where the answer to a HEAD is followed by a body.
func (a *attempt) raw200(method string) {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", method, a.target.base.Path+"/Appointment?_count=1", a.target.base.Host, a.credentials())
	if rest := a.wireRest(text); len(rest) > 0 {
		a.fail("the answer to HEAD has a body of %d bytes", len(rest))
	}
}

func ranges(a *attempt) {
	for _, path := range []string{"/" + a.ref("patient"), "/" + a.ref("appointment"), "/Appointment?_count=5"} {
		full := a.get(path)
		for _, r := range []string{"bytes=0-10", "bytes=-40", "bytes=100-", "bytes=0-0,-1", "resources=0-1"} {
			got := a.get(path, "Range", r, "If-Range", `W/"1"`)
			a.seek(got, nil)
			if got.status == 206 || got.header.Get("Content-Range") != "" && got.status != 416 {
				a.fail("a part was answered: %s with Range %s: %s", got.what, r, got.says())
			}
			if got.status == 200 && full.status == 200 && len(got.body) != len(full.body) && len(got.entries()) != len(full.entries()) {
				a.fail("another answer with Range %s: %s", r, got.what)
			}
		}
	}
}
