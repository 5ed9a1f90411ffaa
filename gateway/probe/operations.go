package probe

import (
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
