package probe

import (
	"fmt"
	"strings"
)

func contentChecks() []Check {
	carrier := func(c class, attack, what string) Check {
		return Check{Name: "leak/" + string(c), Attack: attack,
			Sentence: "Reads and searches of each planted type: no hidden " + what + " is in the answers.",
			Advice:   "Filter every answer down to the dataset, and remove what it does not name.",
			do: func(a *attempt) {
				for _, s := range a.plain {
					a.remember(s)
					a.seek(s, func(one canary) bool { return one.class == c })
				}
			}}
	}
	return []Check{
		carrier(inElement, "hidden elements in reads and searches", "element"),
		carrier(inNarrative, "text.div carrying hidden data", "narrative (text.div)"),
		carrier(inContained, "contained carrying hidden data", "contained resource"),
		carrier(inExtension, "extension carrying hidden data", "extension"),
		carrier(inDisplay, "Coding.display carrying hidden data", "Coding.display"),
		carrier(inReference, "reference.display carrying hidden data", "Reference.display"),
		{Name: "leak/hidden-type", Attack: "types that the dataset does not have",
			Sentence: "Searches and reads of clinical types that the dataset has no row for: refused or empty.",
			Advice:   "Refuse a type without a row in the dataset, whatever the token's scopes are.", do: hiddenType},
		{Name: "leak/label", Attack: "resources under a security label", needs: needsEHR,
			Sentence: "A canary patient with the confidentiality code R, by search, read and history: it is not there.",
			Advice:   "Drop what carries a denied label, from every answer, before it leaves.", do: label},
		{Name: "leak/raw-id", Attack: "fullUrl, references and ids carrying the EHR's own ids", needs: needsEHR,
			Sentence: "Where the dataset gives ids as tokens, the EHR's id of a planted resource stands nowhere in an answer.",
			Advice:   "Put ids into tokens wherever they stand: id, reference, fullUrl, Location, links.", do: rawID},
		{Name: "leak/full-url", Attack: "fullUrl, Location and Content-Location carrying hidden data",
			Sentence: "fullUrl, links, Location and Content-Location name the gateway, and no other server.",
			Advice:   "Rewrite every address in an answer to the gateway's own, and drop what cannot be.", do: fullURL},
		{Name: "leak/diagnostics", Attack: "OperationOutcome.diagnostics carrying hidden data",
			Sentence: "Calls that make an EHR complain (unknown, deleted and malformed ids and values): its texts do not come through.",
			Advice:   "Replace the EHR's texts in OperationOutcomes; keep the codes.", do: diagnostics},
		{Name: "leak/existence", Attack: "a refused search, read and missing resource told apart", needs: needsEHR,
			Sentence: "A restricted, a deleted and a made-up patient are read, in every way: the answers cannot be told apart.",
			Advice:   "Answer what is hidden exactly as what is not there, with 404 for 410 too.", do: existence},
	}
}

func hiddenType(a *attempt) {
	for _, kind := range []string{"Observation", "Condition", "MedicationRequest", "AllergyIntolerance", "DiagnosticReport", "DocumentReference", "Procedure", "AuditEvent", "Provenance", "Binary"} {
		if a.judge.plan.Has(kind) {
			continue
		}
		for _, path := range []string{"/" + kind + "?_count=3", "/" + kind + "?patient=" + a.id("patient") + "&_count=3"} {
			if got := a.get(path); got.allowed() {
				a.onlyType(got, kind)
			}
		}
	}
	for _, key := range []string{"observation", "condition"} {
		if id := a.id(key); id != "" {
			a.seek(a.get("/"+a.ref(key)), nil)
		}
	}
}

// planted fails where anything of what was planted under a key stands in an answer.
func (a *attempt) planted(got answer, key string) {
	for _, c := range a.canaries.all {
		if where, ok := got.holds(c.value); ok && c.key == key {
			a.fail("%s came back: %s, %s", c, got.what, where)
			return
		}
	}
}

// onlyType fails where a resource of a hidden type is in an answer.
func (a *attempt) onlyType(got answer, kind string) {
	for i, e := range got.entries() {
		if e.Get("resourceType").Str == kind {
			a.fail("%s came back, for which the dataset has no row: %s, resource %d", kind, got.what, i)
			return
		}
	}
	a.seek(got, nil)
}

func label(a *attempt) {
	restricted := a.ehr.id("restricted")
	for _, path := range []string{"/Patient?" + a.canaries.identifier("restricted"), "/Patient/" + restricted, "/Patient/" + restricted + "/_history", "/Patient/" + restricted + "/_history/1", "/Patient?_id=" + restricted} {
		got := a.get(path)
		a.planted(got, "restricted")
		if got.allowed() && got.json().Get("resourceType").Str == "Bundle" && len(got.entries()) > 0 || got.json().Get("resourceType").Str == "Patient" {
			a.fail("the restricted patient came back: %s", got.what)
		}
		if n := got.json().Get("total"); n.Exists() && n.Int() > 0 {
			a.fail("total counts the restricted patient: %s, total %d", got.what, n.Int())
		}
	}
}

func rawID(a *attempt) {
	judged := 0
	for _, p := range a.ehr.planted {
		if a.judge.rawIDs(p.kind) {
			continue
		}
		judged++
		for _, s := range a.plain {
			if at, ok := idIn(s, p.kind, p.id); ok {
				a.fail("the EHR's id of the canary %s came back: %s, %s", p.kind, s.what, at)
				break
			}
		}
	}
	a.note("ids of %d planted resources looked for in %d answers", judged, len(a.plain))
}

// idIn finds an id where it stands as one: "Patient/12" is not in "Patient/123".
func idIn(got answer, kind, id string) (string, bool) {
	if at, ok := placeWhere(got.json(), func(name, value string) bool {
		return name == "id" && value == id || strings.HasSuffix(value, kind+"/"+id) || strings.Contains(value, kind+"/"+id+"/")
	}); ok {
		return at, true
	}
	for _, name := range []string{"Location", "Content-Location", "Link"} {
		if v := got.header.Get(name); strings.Contains(v+"/", "/"+id+"/") {
			return "header " + name, true
		}
	}
	return "", false
}

func fullURL(a *attempt) {
	foreign := func(got answer, where, address string) {
		if !strings.Contains(address, "://") {
			return
		}
		if _, ok := a.target.below(address); !ok {
			a.fail("%s names another server than the gateway: %s, %s", where, got.what, hostOf(address))
		}
	}
	for _, s := range a.plain {
		a.remember(s)
		for _, name := range []string{"Location", "Content-Location"} {
			foreign(s, "header "+name, s.header.Get(name))
		}
		doc := s.json()
		for i, e := range doc.Get("entry.#.fullUrl").Array() {
			foreign(s, fmt.Sprintf("entry[%d].fullUrl", i), e.Str)
		}
		for i, e := range doc.Get("link.#.url").Array() {
			foreign(s, fmt.Sprintf("link[%d].url", i), e.Str)
		}
		a.ehrNamed(s)
	}
}

// ehrNamed fails where the EHR's address stands in an answer.
func (a *attempt) ehrNamed(got answer) {
	if a.ehr == nil || a.ehr.base.String() == a.target.base.String() {
		return
	}
	for _, s := range []string{a.ehr.base.String(), a.ehr.base.Host} {
		if where, ok := got.holds(s); ok {
			a.fail("the EHR's address came back: %s, %s", got.what, where)
			return
		}
	}
}

// hostOf is the host of an address: the rest of it may be real data.
func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func diagnostics(a *attempt) {
	long := strings.Repeat("9", 64)
	paths := []string{
		"/Patient/" + a.id("deleted"), "/Patient/" + a.id("deleted") + "/_history/1", "/Patient/" + a.id("patient") + "/_history/999", "/Patient/no-such-patient",
		"/Patient/" + a.id("restricted"), "/Appointment?date=yesterday", "/Appointment?status=", "/Appointment?_count=many", "/Patient?identifier=%7C%7C%7C", "/Appointment?nonsense=1",
		"/Appointment/no%20id", "/Appointment?_sort=nonsense", "/Appointment?date=2031-99-99", "/Oddwick/1",
	}
	for n := 1; n <= 64; n += 3 {
		paths = append(paths, "/Patient/"+long[:n])
	}
	own := a.canaries.run
	for _, path := range paths {
		got := a.get(path)
		a.seek(got, nil)
		a.ehrNamed(got)
		for _, c := range a.judge.hidden {
			if where, ok := got.holds(c.value); ok && got.status >= 400 {
				a.fail("%s came back in an error: %s, %s", c, got.what, where)
			}
		}
		if a.ehr == nil || got.status < 400 {
			continue
		}
		if where, ok := got.holds(own); ok && !strings.Contains(path, own) {
			a.fail("an error names what was planted: %s, %s", got.what, where)
		}
	}
}

func existence(a *attempt) {
	missing := "hdcno" + a.canaries.run[3:]
	for _, form := range []string{"/Patient/%s", "/Patient/%s/_history/1", "/Patient/%s/_history", "/Patient?_id=%s", "/Appointment?patient=%s", "/Patient/%s/Appointment", "/Patient/%s/$everything"} {
		want := a.get(fmt.Sprintf(form, missing))
		for _, key := range []string{"restricted", "deleted"} {
			for _, id := range []string{a.id(key), a.ehr.id(key)} {
				got := a.get(fmt.Sprintf(form, id))
				if got.says() != want.says() || issue(got) != issue(want) || got.header.Get("ETag") != "" && want.header.Get("ETag") == "" {
					a.fail("the %s patient is told from one that is not there: GET %s answers %s %s, for a made-up id %s %s", key, fmt.Sprintf(form, "…"), got.says(), issue(got), want.says(), issue(want))
				}
			}
		}
	}
}
