package probe

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// miss is a value that stands nowhere.
const miss = "hdcnowhere"

// asked is what a search tells: its status, and how much it found.
func (a answer) asked() string {
	if !a.allowed() {
		return a.says() + " " + issue(a)
	}
	if total := a.json().Get("total"); total.Exists() {
		return fmt.Sprintf("%s, total %s", a.says(), total.Raw)
	}
	return a.says()
}

// pair is one parameter of a query or a form. Colons stand as they are, as people write them.
func pair(name, value string) string {
	return strings.ReplaceAll(url.QueryEscape(name), "%3A", ":") + "=" + strings.ReplaceAll(url.QueryEscape(value), "%3A", ":")
}

// differ fails where a search tells whether what is hidden has a value: hit is asked for, then
// other, and then hit again, since what an EHR holds may change meanwhile.
func (a *attempt) differ(kind, with, parameter, hit, other string) {
	ask := func(value string) answer {
		q := pair(parameter, value)
		if with != "" {
			q = with + "&" + q
		}
		return a.get("/" + kind + "?" + q)
	}
	a.compare(ask, hit, other)
}

// compare is differ for any form of a question.
func (a *attempt) compare(ask func(value string) answer, hit, other string) {
	yes, no := ask(hit), ask(other)
	if yes.asked() == no.asked() {
		return
	}
	if again := ask(hit); again.asked() == yes.asked() {
		a.fail("it tells what is hidden: %s answers %s, and with a value that is not there %s", yes.what, yes.asked(), no.asked())
	}
}

// ordered fails where a sort is followed: both directions are answered, and differ.
func (a *attempt) ordered(kind, by string) {
	ids := func(got answer) []string {
		var all []string
		for _, e := range got.entries() {
			all = append(all, e.Get("id").Str)
		}
		return all
	}
	up, down := a.get("/"+kind+"?_count=50&_sort="+by), a.get("/"+kind+"?_count=50&_sort=-"+by)
	if !up.allowed() || !down.allowed() || len(up.entries()) < 2 {
		return
	}
	if again := ids(a.get("/" + kind + "?_count=50&_sort=" + by)); slices.Equal(again, ids(up)) && !slices.Equal(ids(up), ids(down)) {
		a.fail("the order tells of a hidden element: %s answers in another order than by -%s", up.what, by)
	}
}

// question is a search parameter, and values by which an answer would tell what it reads: one
// planted, one that is common, and for each one that is not there.
type question struct {
	kind, parameter string
	path            string // where its canary is planted
	common, never   string
}

// questions are by parameters that a helpdesk's dataset is likely to hide.
var questions = []question{
	{"Patient", "birthdate", "birthDate", "ge1800-01-01", "lt1800-01-01"},
	{"Patient", "family", "name.family", "", ""},
	{"Patient", "given", "name.given", "", ""},
	{"Patient", "name", "name.family", "", ""},
	{"Patient", "address", "address.line", "", ""},
	{"Patient", "address-city", "address.city", "", ""},
	{"Patient", "address-postalcode", "address.postalCode", "", ""},
	{"Patient", "phone", "telecom.value", "", ""},
	{"Patient", "telecom", "telecom.value", "", ""},
	{"Patient", "gender", "", "male,female", "other,unknown"},
	{"Patient", "death-date", "", "ge1800-01-01", "lt1800-01-01"},
	{"Patient", "language", "", "en,es,fr,ar,vi", "tlh"},
	{"Patient", "_security", "", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", miss},
	{"Practitioner", "family", "name.family", "", ""},
	{"Practitioner", "address-city", "address.city", "", ""},
	{"Practitioner", "telecom", "telecom.value", "", ""},
	{"Appointment", "reason-code", "reasonCode.coding.code", "", ""},
	{"Appointment", "specialty", "specialty.coding.code", "", ""},
	{"Appointment", "service-type", "serviceType.coding.code", "", ""},
	{"Encounter", "reason-code", "reasonCode.coding.code", "", ""},
	{"Encounter", "type", "type.coding.code", "", ""},
	{"ServiceRequest", "code", "code.coding.code", "", ""},
	{"ServiceRequest", "category", "category.coding.code", "", ""},
	{"Task", "code", "code.coding.code", "", ""},
	{"Task", "business-status", "businessStatus.coding.code", "", ""},
	{"Communication", "category", "category.coding.code", "", ""},
	{"Coverage", "class-value", "class.value", "", ""},
	{"Observation", "code", "code.coding.code", "", ""},
	{"Observation", "value-string", "valueString", "", ""},
	{"Condition", "code", "code.coding.code", "", ""},
}

// hidden are the questions whose answers may not be told.
func (a *attempt) hidden() []question {
	var all []question
	for _, q := range questions {
		if a.judge.reads(q.kind, q.parameter) && !a.judge.askable(q.kind, q.parameter) {
			all = append(all, q)
		}
	}
	return all
}

// each calls f with the values of a question that can be asked: its canary's, which the EHR has,
// and a common one.
func (a *attempt) each(q question, f func(hit, other string)) {
	if value := a.canaries.of(keyOf(q.kind), q.path); value != "" {
		other := miss
		if strings.HasPrefix(value, "18") && len(value) == len("1800-01-01") {
			other = "1799-12-31"
		}
		f(value, other)
	}
	if q.common != "" {
		f(q.common, q.never)
	}
}
