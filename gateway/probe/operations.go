package probe

import (
	"encoding/json"
	"net/url"
	"strings"
)

func operationChecks() []Check {
	return []Check{
		{Name: "leak/everything", Attack: "$everything",
			Sentence: "$everything of patients, encounters and all, by GET and POST: refused, or nothing hidden comes.",
			Advice:   "Refuse every operation that the policy does not name.",
			do: func(a *attempt) {
				for _, path := range []string{"/Patient/" + a.id("patient") + "/$everything", "/Patient/$everything", "/Encounter/" + a.id("encounter") + "/$everything", "/Patient/" + a.id("patient") + "/$everything?_type=Observation", "/$everything"} {
					a.operation(path)
				}
			}},
		{Name: "leak/graphql", Attack: "$graphql",
			Sentence: "$graphql at the system and on instances, by GET and POST: refused, or nothing hidden comes.",
			Advice:   "Refuse $graphql: it reads by a language of its own.", do: graphql},
		{Name: "leak/export", Attack: "$export",
			Sentence: "$export of the system, of patients and of groups, by GET and POST: refused; an export that begins has failed.",
			Advice:   "Refuse $export.", do: export},
		{Name: "leak/match", Attack: "search oracles: $match", needs: needsEHR,
			Sentence: "$match by one hidden element, with a value that is there and one that is not: the answers are the same, and nothing hidden comes.",
			Advice:   "Match only by complete combinations that a desk is told by its caller, and filter what is found.", do: match},
		{Name: "leak/operation", Attack: "unknown operations at every level",
			Sentence: "Known and made-up operations at the system, types, instances and versions: refused, or nothing hidden comes.",
			Advice:   "Refuse operations by default; name those that may be called.",
			do: func(a *attempt) {
				for _, name := range []string{"$oddwick", "$meta", "$lastn", "$summary", "$docref", "$document", "$validate", "$diff", "$lookup", "$expand", "$match", "$convert", "$ps"} {
					for _, path := range []string{"/" + name, "/Patient/" + name, "/Observation/" + name, "/Patient/" + a.id("patient") + "/" + name, "/Patient/" + a.id("patient") + "/_history/1/" + name} {
						a.operation(path)
					}
				}
			}},
	}
}

// operation calls one by GET and by POST, without input. Those that change something are not
// tried.
func (a *attempt) operation(path string) {
	a.hiddenOnly(a.get(path))
	a.hiddenOnly(a.post(path, fhirType, `{"resourceType":"Parameters","parameter":[]}`))
}

func graphql(a *attempt) {
	id := a.id("patient")
	for _, query := range []string{
		`{Patient(id:"` + id + `"){id name{family} address{line city} telecom{value} birthDate}}`, `{PatientList(_count:3){address{city} telecom{value}}}`, `{ObservationList(_count:3){valueString code{text}}}`,
		`{Patient(id:"` + id + `"){ObservationList(_reference:patient){valueString}}}`,
	} {
		for _, path := range []string{"/$graphql", "/Patient/" + id + "/$graphql"} {
			for _, got := range []answer{a.get(path + "?query=" + url.QueryEscape(query)), a.post(path, "application/graphql", query), a.post(path, "application/json", `{"query":"`+strings.ReplaceAll(query, `"`, `\"`)+`"}`)} {
				a.hiddenOnly(got)
				if got.allowed() && got.json().Get("data").Exists() {
					a.fail("$graphql was answered: %s", got.what)
				}
			}
		}
	}
}

func match(a *attempt) {
	day := a.canaries.of("patient", "birthDate")
	ask := func(path string, member string, value func(v string) any) func(string) answer {
		return func(v string) answer {
			body, err := json.Marshal(node{"resourceType": "Parameters", "parameter": []node{{"name": "resource", "resource": node{"resourceType": "Patient", member: value(v)}}, {"name": "onlyCertainMatches", "valueBoolean": false}}})
			if err != nil {
				return answer{err: err}
			}
			got := a.post(path, fhirType, string(body))
			got.what += " by " + member
			a.seek(got, nil)
			return got
		}
	}
	for _, path := range []string{"/Patient/$match", "/Patient/" + a.id("patient") + "/$match"} {
		if a.judge.hides("Patient", "birthDate") {
			a.compare(ask(path, "birthDate", func(v string) any { return v }), day, "1799-12-31")
		}
		if a.judge.hides("Patient", "address.city") {
			a.compare(ask(path, "address", func(v string) any { return []node{{"city": v}} }), a.canaries.of("patient", "address.city"), miss)
		}
		if a.judge.hides("Patient", "telecom.value") {
			a.compare(ask(path, "telecom", func(v string) any { return []node{{"system": "phone", "value": v}} }), a.canaries.of("patient", "telecom.value"), miss)
		}
		if a.judge.hides("Patient", "name.family") {
			a.compare(ask(path, "name", func(v string) any { return []node{{"family": v}} }), a.canaries.of("patient", "name.family"), miss)
		}
	}
}

func export(a *attempt) {
	for _, path := range []string{"/$export", "/Patient/$export", "/Group/1/$export", "/$export?_type=Patient,Observation&_outputFormat=ndjson", "/Patient/" + a.id("patient") + "/$export"} {
		for _, got := range []answer{a.get(path, "Prefer", "respond-async"), a.post(path, fhirType, `{"resourceType":"Parameters"}`, "Prefer", "respond-async")} {
			if !got.allowed() {
				continue
			}
			a.fail("an export began: %s answers %d", got.what, got.status)
			if below, ok := a.target.below(got.header.Get("Content-Location")); ok && got.status == 202 {
				a.send(request{method: "DELETE", path: below, token: a.o.Token})
			}
		}
	}
}
