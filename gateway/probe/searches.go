package probe

import (
	"fmt"
)

func searchChecks() []Check {
	return []Check{
		{Name: "leak/search-birthdate", Attack: "search oracles: birthdate",
			Sentence: "Searches by a birth date that is there and one that is not, whole and in ranges that halve it: the answers are the same.",
			Advice:   "Refuse a parameter that reads a hidden element, unless it stands in a combination that can only confirm.", do: birthdate},
		{Name: "leak/search-hidden", Attack: "search oracles: parameters that read hidden elements",
			Sentence: "Searches by names, addresses, numbers, reasons and codes that the dataset hides, with a value that is there and one that is not: the answers are the same.",
			Advice:   "Map each search parameter to the elements that it reads, and refuse it where one of them is hidden.",
			do: func(a *attempt) {
				for _, q := range a.hidden() {
					a.each(q, func(hit, other string) { a.differ(q.kind, "", q.parameter, hit, other) })
				}
			}},
		{Name: "leak/search-modifier", Attack: "search oracles: modifiers and prefixes",
			Sentence: "The same with :exact, :contains, :missing, :not, :text, :above, of-type and comparison prefixes: the answers are the same.",
			Advice:   "Judge a parameter with each modifier: some read more elements than the bare parameter.", do: modifiers},
		{Name: "leak/chain", Attack: "search oracles: chains into hidden types and elements",
			Sentence: "Chains from visible types to hidden elements and hidden types, with a value that is there and one that is not: the answers are the same.",
			Advice:   "Judge each step of a chain in the type that it reads.", do: chains},
		{Name: "leak/sort", Attack: "search oracles: _sort on hidden elements",
			Sentence: "Searches sorted by hidden elements, upwards and downwards: refused, or the same order.",
			Advice:   "Refuse a sort by what does not leave as it is: the order tells it.",
			do: func(a *attempt) {
				for _, q := range a.hidden() {
					a.ordered(q.kind, q.parameter)
				}
				a.ordered("Patient", "address-state")
			}},
		{Name: "leak/filter", Attack: "search oracles: _filter",
			Sentence: "_filter expressions over hidden elements: the answers are the same whether the value is there or not.",
			Advice:   "Refuse _filter, or parse it and judge each of its parameters.",
			do: func(a *attempt) {
				for _, q := range a.hidden() {
					a.each(q, func(hit, other string) {
						if hit != q.common {
							a.differ(q.kind, "", "_filter", q.parameter+" eq "+hit, q.parameter+" eq "+other)
						}
					})
				}
				a.differ("Patient", "", "_filter", "birthdate ge 1800-01-01", "birthdate lt 1800-01-01")
			}},
		{Name: "leak/text", Attack: "search oracles: _text and _content",
			Sentence: "_text and _content with a planted word and one that is not there: the answers are the same.",
			Advice:   "Refuse _text and _content: they read everything.",
			do: func(a *attempt) {
				for _, kind := range []string{"Patient", "Appointment", "Task"} {
					for _, parameter := range []string{"_text", "_content"} {
						if word := a.canaries.of(keyOf(kind), "text.div"); word != "" {
							a.differ(kind, "", parameter, word, miss)
						}
						a.differ(kind, "", parameter, "a", miss)
					}
				}
			}},
		{Name: "leak/query-list", Attack: "search oracles: _query, _list and _contained",
			Sentence: "Named queries, lists and searches of contained resources: refused, or nothing hidden comes of them.",
			Advice:   "Refuse _query, _list, _contained and _containedType.",
			do: func(a *attempt) {
				for _, q := range []string{"_query=current-high-risk", "_list=$current-problems", "_list=1", "_contained=true&_containedType=contained", "_contained=both"} {
					for _, kind := range []string{"Patient", "Appointment"} {
						a.seek(a.get("/"+kind+"?_count=100&"+q), nil)
					}
				}
				if name := a.canaries.of("patient", "contained.name.family"); name != "" {
					a.differ("Practitioner", "_contained=true", "family", name, miss)
				}
			}},
		{Name: "leak/post-search", Attack: "POST _search with hidden criteria in its body",
			Sentence: "Hidden criteria in the body of a POST _search, alone and beside a harmless query: the answers are the same whether the value is there or not.",
			Advice:   "Query and body are one set of parameters: judge both.", do: postSearch},
		{Name: "leak/repeated-parameter", Attack: "repeated parameters that hide a criterion",
			Sentence: "Hidden criteria behind repeated and harmless ones, in every place: the answers are the same.",
			Advice:   "Judge every repetition of a parameter, not the first.", do: repeated},
	}
}

func birthdate(a *attempt) {
	if !a.judge.hides("Patient", "birthDate") {
		a.note("the dataset lets birthDate leave")
		return
	}
	if day := a.canaries.of("patient", "birthDate"); day != "" {
		for _, with := range []string{"", a.canaries.identifier("patient"), "active=true"} {
			a.differ("Patient", with, "birthdate", day, "1799-12-31")
			a.differ("Patient", with, "birthdate", "ge"+day, "gt"+day)
			a.differ("Patient", with, "birthdate", "le"+day, "lt"+day)
			a.differ("Patient", with, "birthdate", day[:7], "1799-12")
		}
		if a.judge.hides("Practitioner", "birthDate") {
			a.differ("Practitioner", "", "birthdate", a.canaries.of("practitioner", "birthDate"), "1799-12-31")
		}
	}
	a.differ("Patient", "", "birthdate", "ge1800-01-01", "lt1800-01-01")
	a.differ("Patient", "", "birthdate", "ne1799-01-01", "1799-01-01")
}

func modifiers(a *attempt) {
	for _, q := range a.hidden() {
		a.each(q, func(hit, other string) {
			for _, m := range []string{":exact", ":contains", ":text", ":not", ":above", ":in"} {
				a.differ(q.kind, "", q.parameter+m, hit, other)
			}
			a.differ(q.kind, "", q.parameter, hit+","+other, other)
		})
		a.differ(q.kind, "", q.parameter+":missing", "false", "true")
	}
	for _, kind := range []string{"Patient", "Appointment"} {
		if a.judge.hides(kind, "identifier.value") && a.ehr != nil {
			name := a.canaries.name(keyOf(kind))
			a.differ(kind, "", "identifier:contains", name[3:], miss)
			a.differ(kind, "", "identifier", system+"|", miss+"|") // whoever has one of this system
			a.differ(kind, "", "identifier:not", miss, system+"|"+name)
		}
	}
}

func chains(a *attempt) {
	for _, c := range []struct{ kind, chain, target, parameter, key, path string }{
		{"Appointment", "patient", "Patient", "birthdate", "patient", "birthDate"},
		{"Appointment", "patient", "Patient", "address-city", "patient", "address.city"},
		{"Appointment", "actor:Patient", "Patient", "address-city", "patient", "address.city"},
		{"Appointment", "actor:Patient", "Patient", "family", "patient", "name.family"},
		{"Appointment", "actor:Practitioner", "Practitioner", "address-city", "practitioner", "address.city"},
		{"Encounter", "diagnosis:Condition", "Condition", "code", "condition", "code.coding.code"},
		{"Encounter", "appointment.patient", "Patient", "address-city", "patient", "address.city"},
		{"Task", "subject:Patient", "Patient", "telecom", "patient", "telecom.value"},
		{"Task", "focus:Appointment", "Appointment", "reason-code", "appointment", "reasonCode.coding.code"},
		{"Communication", "subject:Patient", "Patient", "family", "patient", "name.family"},
		{"ServiceRequest", "subject:Patient", "Patient", "birthdate", "patient", "birthDate"},
		{"Coverage", "beneficiary:Patient", "Patient", "family", "patient", "name.family"},
		{"Appointment", "based-on", "ServiceRequest", "code", "order", "code.coding.code"},
	} {
		if !a.judge.reads(c.target, c.parameter) {
			continue
		}
		if value := a.canaries.of(c.key, c.path); value != "" {
			other := miss
			if c.parameter == "birthdate" {
				other = "1799-12-31"
			}
			a.differ(c.kind, "", c.chain+"."+c.parameter, value, other)
			continue
		}
		a.differ(c.kind, "", c.chain+"._lastUpdated", "gt1900-01-01", "lt1900-01-01")
	}
	if a.judge.hides("Patient", "birthDate") {
		a.differ("Appointment", "", "patient.birthdate", "ge1800-01-01", "lt1800-01-01")
	}
}

// posted makes a question of a POST _search.
func (a *attempt) posted(kind, query, body string) answer {
	path := "/" + kind + "/_search"
	if query != "" {
		path += "?" + query
	}
	got := a.post(path, formType, body)
	got.what += " with " + shorten(body)
	return got
}

func postSearch(a *attempt) {
	for _, q := range a.hidden() {
		a.each(q, func(hit, other string) {
			a.compare(func(v string) answer { return a.posted(q.kind, "", pair(q.parameter, v)) }, hit, other)
			a.compare(func(v string) answer { return a.posted(q.kind, pair(q.parameter, v), "_count=50") }, hit, other)
			a.compare(func(v string) answer { return a.posted(q.kind, "_count=50", "_count=50&"+pair(q.parameter, v)) }, hit, other)
		})
	}
	if id := a.id("patient"); id != "" {
		got := a.posted("Patient", "", pair("_id", id)+"&_revinclude=Observation:patient")
		a.brought("Patient", got)
	}
}

func repeated(a *attempt) {
	for _, q := range a.hidden() {
		a.each(q, func(hit, other string) {
			for _, with := range []string{"_count=50&_count=50", "_id=" + a.id(keyOf(q.kind)) + "&_id=" + a.id(keyOf(q.kind))} {
				a.differ(q.kind, with, q.parameter, hit, other)
			}
			a.compare(func(v string) answer {
				p := pair(q.parameter, v)
				return a.get(fmt.Sprintf("/%s?%s&%s", q.kind, p, p))
			}, hit, other)
		})
	}
	if day := a.canaries.of("patient", "birthDate"); day != "" && a.judge.hides("Patient", "birthDate") {
		family := "family=" + a.canaries.of("patient", "name.family")
		a.compare(func(v string) answer { return a.get("/Patient?" + family + "&birthdate=ge1800-01-01&birthdate=" + v) }, "le"+day, "lt"+day)
		a.compare(func(v string) answer { return a.get("/Patient?" + family + "&birthdate=" + v) }, "le"+day, "lt"+day)
		a.compare(func(v string) answer { return a.get("/Patient?family=" + v + "&birthdate=" + day) }, family[7:len(family)-2], miss)
	}
}
