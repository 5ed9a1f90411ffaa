package reference

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// bundle is the built-in row of a Bundle.
func (r *oracle) bundle(bundle map[string]any, root bool) any {
	out := map[string]any{"resourceType": "Bundle"}
	kind, typed := bundle["type"].(string)
	if typed {
		out["type"] = kind
	}
	if root && r.o.BundleType != "" {
		if kind != r.o.BundleType {
			r.fail(transforms.ErrUnexpectedRoot)
		}
		typed, kind = true, r.o.BundleType
	}
	if n, ok := bundle["total"].(json.Number); ok && r.o.Total {
		out["total"] = n
	}
	if links, ok := bundle["link"].([]any); ok {
		if kept := each(links, r.link); kept != nil {
			out["link"] = kept
		}
	}
	if entries, ok := bundle["entry"].([]any); ok {
		if kept := each(entries, func(v any) any {
			mark := len(r.named)
			entry, answer := r.entry(v)
			_, responded := object(v)["response"].(map[string]any)
			_, requested := object(v)["request"]
			positional, shape := strings.HasSuffix(kind, "-response"), responded && !requested
			if !typed {
				positional = shape && root // a nested one is looked into first
			}
			switch {
			case entry != nil:
				return entry
			case root && r.o.BundleType == "" && positional != shape:
				r.may = append(r.may, transforms.ErrUnexpectedRoot) // where type comes last
			}
			if positional && answer != nil {
				return map[string]any{"response": answer}
			}
			r.forget(mark)
			if positional {
				return refused
			}
			return nil
		}); kept != nil {
			out["entry"] = kept
		}
	}
	return out
}

func object(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// refused is what takes the place of an answer that may not leave.
var refused = map[string]any{"response": map[string]any{
	"status": "403 Forbidden",
	"outcome": map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{
		"severity": "error", "code": "forbidden", "details": map[string]any{"text": "The gateway does not release this answer."},
	}}},
}}

func (r *oracle) link(v any) any {
	link, _ := v.(map[string]any)
	relation, ok := link["relation"].(string)
	url, ok2 := link["url"].(string)
	if !ok || !ok2 || r.o.Link == nil {
		return nil
	}
	if url, ok = r.o.Link(relation, url); !ok {
		return nil
	}
	return map[string]any{"relation": relation, "url": url}
}

// entry is what leaves of an entry with its resource, if it does; and what may leave of its response alone, if there
// is no resource.
func (r *oracle) entry(v any) (entry, answer any) {
	members := object(v)
	out := map[string]any{}
	if s, ok := members["fullUrl"].(string); ok {
		if ref, ok := r.reference(s); ok && ref.base != "" && ref.version == "" {
			out["fullUrl"] = r.address(ref)
		}
	}
	search := map[string]any{}
	if s, ok := object(members["search"])["mode"].(string); ok && aCode.MatchString(s) {
		search["mode"] = s
	}
	if n, ok := object(members["search"])["score"].(json.Number); ok {
		search["score"] = n
	}
	var grades []any
	extensions, _ := object(members["search"])["extension"].([]any)
	for _, v := range extensions {
		url, code := object(v)["url"], object(v)["valueCode"]
		known := code == "certain" || code == "probable" || code == "possible" || code == "certainly-not"
		if url == "http://hl7.org/fhir/StructureDefinition/match-grade" && known {
			grades = append(grades, map[string]any{"url": url, "valueCode": code})
		}
	}
	if grades != nil {
		search["extension"] = grades
	}
	if len(search) > 0 {
		out["search"] = search
	}
	if request := r.request(object(members["request"])); request != nil {
		out["request"] = request
	}
	if response := r.response(object(members["response"])); response != nil {
		out["response"] = response
	}
	resource, ok := members["resource"].(map[string]any)
	if !ok {
		return nil, out["response"]
	}
	if out["resource"] = r.part(resource); out["resource"] == nil {
		return nil, nil
	}
	return out, nil
}

// part is what leaves of a resource inside another one; nil if it does not.
func (r *oracle) part(resource map[string]any) any {
	kind, ok := resource["resourceType"].(string)
	if !ok {
		r.fail(transforms.ErrNoType)
		return nil
	}
	if cause := r.refusal(kind, resource); cause != "" {
		r.drop(cause, kind)
		return nil
	}
	if kind == "Bundle" || kind == "OperationOutcome" || kind == "Parameters" {
		return r.resource(kind, resource)
	}
	released, tokenized, removed, dropped := maps.Clone(r.released), maps.Clone(r.tokenized), maps.Clone(r.removed), map[string]map[string]int{}
	for cause, kinds := range r.dropped {
		dropped[cause] = maps.Clone(kinds)
	}
	unknown, missing, mark := maps.Clone(r.unknown), maps.Clone(r.missing), len(r.named)
	r.leads = nil
	out := r.resource(kind, resource)
	if r.stray(kind, resource) {
		r.released, r.tokenized, r.removed, r.dropped = released, tokenized, removed, dropped
		r.unknown, r.missing = unknown, missing
		r.forget(mark)
		r.drop("stray", kind)
		return nil
	}
	if id, ok := resource["id"].(string); ok {
		r.left[kind+"/"+id] = true
	}
	for _, to := range r.leads {
		r.referred[to] = true
	}
	return out
}

// stray says whether the resource at hand was included, and nothing that left leads to it.
func (r *oracle) stray(kind string, resource map[string]any) bool {
	id, ok := resource["id"].(string)
	return r.o.Searched != nil && !slices.Contains(r.o.Searched, kind) && !(ok && r.referred[kind+"/"+id]) &&
		!slices.ContainsFunc(r.leads, func(to string) bool { return r.left[to] })
}

func (r *oracle) drop(cause, kind string) {
	if !plausible.MatchString(kind) {
		kind = "?"
	}
	if r.dropped[cause] == nil {
		r.dropped[cause] = map[string]int{}
	}
	r.dropped[cause][kind]++
}

func (r *oracle) request(request map[string]any) any {
	url, ok := request["url"].(string)
	if !ok {
		return nil
	}
	if !r.asked(url) || !r.hasRow(url) {
		if url, ok = r.located(url); !ok {
			return nil
		}
	}
	out := map[string]any{"url": url}
	if verb, _ := request["method"].(string); slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, verb) {
		out["method"] = verb
	}
	return out
}

// located is the address of a resource whose type may leave.
func (r *oracle) located(url string) (string, bool) {
	ref, ok := r.reference(url)
	if !ok || !r.asked(ref.kind) || !r.hasRow(ref.kind) {
		return "", false
	}
	return r.address(ref), true
}

var status = regexp.MustCompile(`^([0-9]{3})( |$)`)

func (r *oracle) response(response map[string]any) any {
	out := map[string]any{}
	if s, ok := response["status"].(string); ok {
		if m := status.FindStringSubmatch(s); m != nil {
			out["status"] = m[1]
		}
	}
	if s, ok := response["location"].(string); ok {
		if s, ok = r.located(s); ok {
			out["location"] = s
		}
	}
	if outcome, ok := response["outcome"].(map[string]any); ok {
		switch kind, ok := outcome["resourceType"].(string); {
		case !ok:
			r.fail(transforms.ErrNoType)
		case kind == "OperationOutcome" && !r.labelled(outcome):
			removed, tokenized := maps.Clone(r.removed), maps.Clone(r.tokenized)
			out["outcome"] = r.outcome(outcome)
			r.removed, r.tokenized = removed, tokenized // it is no resource of its own
		}
	}
	return unlessEmpty(out)
}

var plausible = regexp.MustCompile(`^[A-Za-z]{1,64}$`)
