package probe

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/sjson"
)

func writeChecks() []Check {
	return []Check{
		{Name: "leak/conditional-create", Attack: "search oracles in If-None-Exist and in conditional updates and deletes", needs: needsEHR,
			Sentence: "Conditions over hidden elements on creates, updates and patches, with a value that is there and one that is not: the answers are the same.",
			Advice:   "Admit the condition of a write as a search.", do: conditional},
		{Name: "leak/write-answer", Attack: "answers to writes carrying hidden data", needs: needsEHR,
			Sentence: "The filtered copy of canary resources sent back, asking for the whole in return: nothing hidden is in the answer or its headers.",
			Advice:   "Filter the answer to a write like a read's.", do: writeAnswer},
		{Name: "refuse/write-back", Attack: "a filtered copy written back destroys what it does not show", needs: needsEHR,
			Sentence: "The filtered copy of canary resources sent back as an update: refused, or nothing hidden is lost at the EHR.",
			Advice:   "Merge an update into the current version: replace only what the writer may set.", do: writeBack},
		{Name: "refuse/write-foreign", Attack: "writes to what is hidden", needs: needsEHR,
			Sentence: "Updates, patches and deletes of canary resources that are restricted or of hidden types: nothing changes at the EHR.",
			Advice:   "Read the current version through the filter before a write; what is hidden is not there.", do: writeHidden},
	}
}

func conditional(a *attempt) {
	basic := func(name string) string {
		body, err := json.Marshal(node{"resourceType": "Patient", "active": false, "identifier": []node{{"system": system, "value": a.canaries.name(name)}}})
		if err != nil {
			return ""
		}
		return string(body)
	}
	day := a.canaries.of("patient", "birthDate")
	for _, c := range []struct{ parameter, hit, other string }{
		{"birthdate", day, "1799-12-31"}, {"address-city", a.canaries.of("patient", "address.city"), miss}, {"_security", "R", miss},
		{"_has:Observation:patient:code", a.canaries.of("observation", "code.coding.code"), miss},
	} {
		if !a.judge.reads("Patient", c.parameter) || c.hit == "" {
			continue
		}
		condition := func(v string) string { return a.canaries.identifier("patient") + "&" + pair(c.parameter, v) }
		a.compare(func(v string) answer { // what is made where nothing matches is swept away at the end
			got := a.post("/Patient", fhirType, basic("conditional"), "If-None-Exist", condition(v))
			got.what += " with If-None-Exist: " + shorten(condition(v))
			return got
		}, c.hit, c.other)
		for method, write := range map[string][2]string{"PUT": {fhirType, basic("conditional")}, "PATCH": {"application/json-patch+json", `[{"op":"test","path":"/active","value":"never"}]`}} {
			a.compare(func(v string) answer {
				return a.send(request{method: method, path: "/Patient?" + condition(v), token: a.o.Token, body: write[1], header: []string{"Content-Type", write[0]}})
			}, c.hit, c.other)
		}
		a.restore()
	}
}

// copies are planted resources as the gateway shows them.
func (a *attempt) copies(f func(p planted, body string)) {
	for _, p := range a.ehr.planted {
		if p.closed || p.key == "trap" {
			continue
		}
		got := a.get("/" + p.kind + "/" + a.ids[p.key])
		if got.allowed() && got.json().Get("resourceType").Str == p.kind {
			f(p, string(got.body))
		}
	}
}

func writeAnswer(a *attempt) {
	a.copies(func(p planted, body string) {
		for _, prefer := range []string{"return=representation", "return=OperationOutcome"} {
			got := a.send(request{method: "PUT", path: "/" + p.kind + "/" + a.ids[p.key], token: a.o.Token, body: body, header: []string{"Content-Type", fhirType, "Prefer", prefer}})
			a.seek(got, nil)
			a.ehrNamed(got)
		}
		got := a.send(request{method: "PATCH", path: "/" + p.kind + "/" + a.ids[p.key], token: a.o.Token, body: `[{"op":"test","path":"/id","value":"x"}]`, header: []string{"Content-Type", "application/json-patch+json", "Prefer", "return=representation"}})
		a.seek(got, nil)
		a.ehrNamed(got)
	})
	a.restore()
}

func writeBack(a *attempt) {
	a.restore()
	a.copies(func(p planted, body string) {
		for _, tag := range []string{"", `W/"1"`} {
			header := []string{"Content-Type", fhirType}
			if tag != "" {
				header = append(header, "If-Match", tag)
			}
			got := a.send(request{method: "PUT", path: "/" + p.kind + "/" + a.ids[p.key], token: a.o.Token, body: body, header: header})
			now, there := a.ehr.current(a.ctx, p.kind, p.id)
			if !there {
				a.fail("%s is gone after its filtered copy was written back: %s", p.kind, got.what)
				return
			}
			for _, c := range a.judge.hidden {
				if c.key == p.key && !strings.Contains(string(now), c.value) {
					a.fail("%s is lost at the EHR after the filtered copy was written back (%s)", c, got.says())
					return
				}
			}
		}
	})
	a.restore()
}

func writeHidden(a *attempt) {
	for _, key := range []string{"restricted", "observation", "condition"} {
		id := a.ehr.id(key)
		if id == "" {
			continue
		}
		kind, _, _ := strings.Cut(a.ref(key), "/")
		if key != "restricted" && a.judge.plan.Has(kind) {
			continue
		}
		before, _ := a.ehr.current(a.ctx, kind, id)
		changed, err := sjson.Set(string(before), "language", "tlh")
		if err != nil {
			continue
		}
		for _, name := range []string{a.ids[key], id} {
			path := "/" + kind + "/" + name
			a.send(request{method: "PUT", path: path, token: a.o.Token, body: changed, header: []string{"Content-Type", fhirType}})
			a.send(request{method: "PATCH", path: path, token: a.o.Token, body: `[{"op":"add","path":"/language","value":"tlh"}]`, header: []string{"Content-Type", "application/json-patch+json"}})
			a.send(request{method: "DELETE", path: path, token: a.o.Token})
			a.bundle("transaction", "DELETE "+strings.TrimPrefix(path, "/"))
		}
		now, there := a.ehr.current(a.ctx, kind, id)
		if !there || string(now) != string(before) {
			a.fail("a hidden %s was changed through the gateway", kind)
		}
	}
	a.restore()
}

// restore puts back at the EHR what a check may have changed there.
func (a *attempt) restore() {
	for _, p := range a.ehr.planted {
		if p.deleted || p.body == nil {
			continue
		}
		body, err := sjson.SetBytes(p.body, "id", p.id)
		if err != nil {
			continue
		}
		if _, _, _, err := a.ehr.do(a.ctx, "PUT", "/"+p.kind+"/"+p.id, body); err != nil {
			a.note("%s could not be put back", p.kind)
		}
	}
}
