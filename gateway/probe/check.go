package probe

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Check is one thing that is tried.
type Check struct {
	Name     string // "leak/include": what fails shows a leak; "refuse/…", "wire/…"
	Attack   string // what an attacker hopes for, in the words of the list of attacks
	Sentence string // what is tried, and what passes
	Advice   string // what to do where it fails

	needs need
	do    func(*attempt)
}

// need is what a check cannot be made without.
type need uint8

const (
	needsEHR     need = 1 << iota // canaries
	needsOther                    // a second client's token
	needsPatient                  // a token held to a patient
)

// Checks are all of them, in the order in which they are made.
func Checks() []Check {
	return slices.Concat(accessChecks(), contentChecks(), includeChecks(), searchChecks(), resultChecks(), requestChecks(),
		pathChecks(), batchChecks(), pagingChecks(), operationChecks(), historyChecks(), patientChecks(), writeChecks(), wireChecks())
}

// chosen says whether one of the patterns names the check; no pattern names all.
func (c Check) chosen(patterns []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, c.Name) // begin has tried the pattern
		return ok
	})
}

// Leak says whether a failure shows a leak.
func (c Check) Leak() bool { return strings.HasPrefix(c.Name, "leak/") }

// lacks says why a check cannot be made, or nothing.
func (r *run) lacks(n need) string {
	switch {
	case n&needsEHR != 0 && r.ehr == nil:
		return "needs the EHR, to plant canaries in"
	case n&needsOther != 0 && r.o.Other == "":
		return "needs a second client's token"
	case n&needsPatient != 0 && (r.o.PatientToken == "" || r.o.Patient == ""):
		return "needs a token held to a patient, and that patient's id"
	}
	return ""
}

// try makes one check.
func (r *run) try(ctx context.Context, c Check) Result {
	result := Result{Check: c}
	if result.Skipped = r.lacks(c.needs); result.Skipped != "" {
		return result
	}
	a := &attempt{run: r, ctx: ctx, saw: map[string]int{}}
	c.do(a)
	result.Skipped, result.OK = a.skipped, len(a.failed) == 0
	result.Evidence = a.evidence()
	return result
}

// attempt is one check under way.
type attempt struct {
	*run
	ctx     context.Context
	failed  []string
	notes   []string
	skipped string
	saw     map[string]int
}

// fail notes what shows that the gateway is wrong.
func (a *attempt) fail(format string, args ...any) {
	if text := a.unnamed(fmt.Sprintf(format, args...)); !slices.Contains(a.failed, text) {
		a.failed = append(a.failed, text)
	}
}

// unnamed takes out of a text the ids that are not of what was planted: they may be real ones.
func (a *attempt) unnamed(text string) string {
	real := []string{a.o.Patient, a.self}
	for key, id := range a.ids {
		if a.ehr == nil || a.ehr.id(key) == "" {
			real = append(real, id)
		}
	}
	for _, id := range real {
		if len(id) > 1 {
			text = strings.ReplaceAll(text, id, "[id]")
		}
	}
	return text
}

// note adds to the evidence of a check that passes.
func (a *attempt) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

func (a *attempt) evidence() string {
	if len(a.failed) > 0 {
		text := a.failed[0]
		if i := slices.IndexFunc(a.failed, func(s string) bool { return strings.HasPrefix(s, "canary ") }); i > 0 {
			text = a.failed[i] // made up beyond doubt
		}
		if more := len(a.failed) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more like it)", more)
		}
		return text
	}
	var parts []string
	for what, n := range a.saw {
		if n > 1 {
			what += fmt.Sprintf(" ×%d", n)
		}
		parts = append(parts, what)
	}
	slices.Sort(parts)
	if len(parts) > 0 {
		a.notes = append([]string{"answers: " + strings.Join(parts, ", ")}, a.notes...)
	}
	return strings.Join(a.notes, "; ")
}

// send makes a request and remembers what kind of answer came.
func (a *attempt) send(q request) answer {
	got := a.target.send(a.ctx, q)
	a.remember(got)
	return got
}

func (a *attempt) remember(got answer) {
	what := fmt.Sprint(got.status)
	if got.err != nil {
		what = "cut"
	}
	a.saw[what]++
}

// get asks with the client's token.
func (a *attempt) get(path string, header ...string) answer {
	return a.send(request{path: path, token: a.o.Token, header: header})
}

// post sends a body with the client's token.
func (a *attempt) post(path, contentType, body string, header ...string) answer {
	return a.send(request{method: "POST", path: path, token: a.o.Token, body: body, header: append(header, "Content-Type", contentType)})
}

const (
	formType = "application/x-www-form-urlencoded"
	fhirType = "application/fhir+json"
)

// seek fails the check where a hidden canary that pick names stands in an answer, and, where no
// canaries are, an element outside the dataset. A nil pick names all.
func (a *attempt) seek(got answer, pick func(canary) bool) {
	for _, c := range a.judge.hidden {
		if pick != nil && !pick(c) {
			continue
		}
		if where, ok := got.holds(c.value); ok {
			a.fail("%s came back: %s, %s", c, got.what, where)
			return
		}
	}
	for i, resource := range got.entries() {
		for _, path := range a.judge.outside(resource) {
			kind, below, _ := strings.Cut(path, ".")
			if pick == nil || pick(canary{kind: kind, path: below, class: classOf(below)}) {
				a.fail("%s came back, which may not leave: %s, resource %d", path, got.what, i)
				return
			}
		}
	}
}

// id is the gateway's id of what was planted, or of any resource of the type that it showed.
func (a *attempt) id(key string) string { return a.ids[key] }

// ref is the same as a reference.
func (a *attempt) ref(key string) string {
	for _, p := range plantings("any") {
		if p.key == key {
			return p.kind + "/" + a.ids[key]
		}
	}
	return ""
}
