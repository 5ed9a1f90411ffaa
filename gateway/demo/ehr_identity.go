package demo

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// matchGrade is the extension by which $match says how sure it is.
const matchGrade = "http://hl7.org/fhir/StructureDefinition/match-grade"

// defaultMatches is how many $match answers where the caller does not say.
const defaultMatches = 10

// A fact is something that a partial Patient says, and what it weighs.
type fact struct {
	path   string
	weight float64
	test   func(gjson.Result) bool
}

// sought are the facts of a partial Patient, as far as this index of patients looks at them.
func sought(patient gjson.Result) []fact {
	var facts []fact
	add := func(path string, weight float64, test func(gjson.Result) bool) {
		facts = append(facts, fact{path, weight, test})
	}
	each(patient, "identifier", func(v gjson.Result) {
		system, value := v.Get("system").Str, v.Get("value").Str
		add("identifier", 1, func(of gjson.Result) bool {
			return of.Get("value").Str == value && (system == "" || of.Get("system").Str == system)
		})
	})
	each(patient, "telecom", func(v gjson.Result) {
		value := v.Get("value").Str
		add("telecom", 0.3, func(of gjson.Result) bool { return of.Get("value").Str == value })
	})
	for _, text := range []struct {
		path   string
		weight float64
	}{{"name.family", 0.4}, {"name.given", 0.2}, {"birthDate", 0.4}, {"gender", 0.1}, {"address.city", 0.1}, {"address.postalCode", 0.2}} {
		each(patient, text.path, func(v gjson.Result) {
			wanted := strings.ToLower(letters.Replace(v.Str))
			add(text.path, text.weight, func(of gjson.Result) bool { return strings.ToLower(letters.Replace(of.Str)) == wanted })
		})
	}
	return facts
}

// score is how much of the facts a patient fits, from 0 to 1.
func score(facts []fact, patient gjson.Result) float64 {
	var fits, all float64
	for _, f := range facts {
		all += f.weight
		found := false
		each(patient, f.path, func(v gjson.Result) { found = found || f.test(v) })
		if found {
			fits += f.weight
		}
	}
	return fits / max(all, 0.1)
}

// grade is FHIR's word for a score (http://hl7.org/fhir/R4/valueset-match-grade.html).
func grade(score float64) string {
	switch {
	case score > 0.99:
		return "certain"
	case score >= 0.75:
		return "probable"
	}
	return "possible"
}

// match answers Patient/$match (https://hl7.org/fhir/R4/patient-operation-match.html), the likeliest first.
func (c *call) match() error {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maximumBody))
	if err != nil || !gjson.ValidBytes(body) {
		return badBody("the body is not JSON, or too long")
	}
	count, certain := defaultMatches, false
	var patient gjson.Result
	for _, p := range gjson.GetBytes(body, "parameter").Array() {
		switch p.Get("name").Str {
		case "resource":
			patient = p.Get("resource")
		case "count":
			count = int(p.Get("valueInteger").Int())
		case "onlyCertainMatches":
			certain = p.Get("valueBoolean").Bool()
		}
	}
	facts := sought(patient)
	if patient.Get("resourceType").Str != "Patient" || len(facts) == 0 || count < 1 {
		return badBody("$match wants Parameters with a resource, a Patient of whom something is said")
	}
	type found struct {
		*resource
		score float64
	}
	var all []found
	for _, r := range c.store.live("Patient") {
		if s := score(facts, gjson.ParseBytes(r.current().body)); s >= 0.6 && (!certain || grade(s) == "certain") {
			all = append(all, found{r, s})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	b := c.bundle("searchset", len(all), true, nil)
	for _, f := range all[:min(count, len(all))] {
		b.entry(f.resource, f.current().body, obj("search", obj(
			"extension", array{obj("url", matchGrade, "valueCode", grade(f.score))},
			"mode", "match", "score", decimal(strconv.FormatFloat(f.score, 'f', 2, 64)))))
	}
	return b.close()
}
