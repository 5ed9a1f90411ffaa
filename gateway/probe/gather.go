package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// gather asks what a client may ask, to learn by which ids the gateway names what was planted,
// and that it answers this token at all.
func (r *run) gather(ctx context.Context) error {
	said := map[int]int{}
	ask := func(path string) answer {
		a := r.target.send(ctx, request{path: path, token: r.o.Token})
		said[a.status]++
		if a.allowed() {
			r.plain = append(r.plain, a)
		}
		return a
	}
	for _, p := range plantings(r.o.Patient) {
		if r.ehr != nil {
			r.ids[p.key] = r.ehr.id(p.key)
			r.learn(p.key, ask("/"+p.kind+"?"+r.canaries.identifier(p.key)))
			if !r.found[p.key] && r.found["patient"] && !p.closed {
				r.learn(p.key, ask("/"+p.kind+"?patient="+r.ids["patient"]))
			}
		}
		if r.ids[p.key] == "" && !p.closed && !p.deleted {
			r.any(p.key, ask("/"+p.kind+"?_count=5"))
		}
	}
	for _, p := range plantings(r.o.Patient) {
		if id := r.ids[p.key]; id != "" {
			ask("/" + p.kind + "/" + id)
		}
	}
	if r.target.fatal != nil {
		return r.target.fatal
	}
	if len(r.plain) == 0 {
		return &Unreachable{What: "gateway", Err: fmt.Errorf("it answers nothing to this token (%s): there is nothing to judge", tally(said))}
	}
	return r.closed(ctx)
}

// learn reads from the answer to a search for one planted resource its id, and those of what
// it refers to.
func (r *run) learn(key string, a answer) {
	entries := a.entries()
	if !a.allowed() || len(entries) == 0 || len(entries) > 2 || entries[0].Get("id").Str == "" || entries[0].Get("resourceType").Str == "OperationOutcome" {
		return
	}
	r.ids[key], r.found[key] = entries[0].Get("id").Str, true
	if key != "appointment" {
		return
	}
	for _, ref := range entries[0].Get("participant.#.actor.reference").Array() {
		for _, known := range []string{"patient", "practitioner"} {
			kind := strings.ToUpper(known[:1]) + known[1:]
			if _, id, ok := strings.Cut(ref.Str, kind+"/"); ok && !r.found[known] {
				r.ids[known], r.found[known] = id, true
			}
		}
	}
}

// any takes the first resource of a type that the gateway shows, where nothing was planted.
func (r *run) any(key string, a answer) {
	for _, e := range a.entries() {
		if id := e.Get("id").Str; id != "" && e.Get("resourceType").Str != "OperationOutcome" {
			r.ids[key] = id
			return
		}
	}
}

// closed deletes at the EHR what is to be found deleted.
func (r *run) closed(ctx context.Context) error {
	if r.ehr == nil {
		return nil
	}
	for _, p := range r.ehr.planted {
		if p.deleted && !r.ehr.remove(ctx, p.kind, p.id) {
			return &Unreachable{What: "EHR", Err: errors.New("it does not delete what was planted there")}
		}
	}
	if !r.found["patient"] {
		r.notes = append(r.notes, "the gateway shows no canary patient to this token: its id at the EHR was used, and a check that needs the patient may pass for that reason")
	}
	return nil
}

func tally(said map[int]int) string {
	var parts []string
	for status, n := range said {
		what := fmt.Sprint(status)
		if status == 0 {
			what = "cut"
		}
		parts = append(parts, fmt.Sprintf("%s ×%d", what, n))
	}
	return strings.Join(parts, ", ")
}

// issue is the code by which a refusal names itself.
func issue(a answer) string {
	doc := a.json()
	return strings.Trim(doc.Get("issue.0.code").Str+" "+doc.Get("issue.0.details.coding.0.code").Str, " ")
}
