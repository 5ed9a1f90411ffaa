package reference

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// refusal is the cause for which a resource does not leave, "" if it leaves.
func (r *oracle) refusal(kind string, resource map[string]any) string {
	switch {
	case kind == "Bundle" && r.nested == 3, kind == "Parameters" && r.parametric > 0,
		kind != "Bundle" && kind != "OperationOutcome" && !(r.asked(kind) && (r.hasRow(kind) || kind == "Parameters")):
		return "type"
	case r.labelled(resource):
		return "label"
	case r.o.Patient != "" && !r.within(kind, resource):
		return "compartment"
	case r.o.EntryID != "" && kind != "Bundle" && kind != "OperationOutcome" && kind != "Parameters" && resource["id"] != r.o.EntryID:
		return "other"
	}
	return ""
}

// asked says whether the stream's types have the type.
func (r *oracle) asked(kind string) bool { return r.o.Types == nil || slices.Contains(r.o.Types, kind) }

// hasRow says whether the dataset has a row for resources of the type: that of Parameters is built in.
func (r *oracle) hasRow(kind string) bool {
	_, row := r.ds.Resources[kind]
	return row && kind != "Parameters"
}

func (r *oracle) labelled(resource map[string]any) bool {
	meta, _ := resource["meta"].(map[string]any)
	for _, coding := range list(meta["security"]) {
		c, _ := coding.(map[string]any)
		for _, l := range r.o.DenyLabels {
			if c["system"] == l.System && c["code"] == l.Code {
				return true
			}
		}
	}
	return false
}

func (r *oracle) within(kind string, resource map[string]any) bool {
	if kind == "Patient" {
		return resource["id"] == r.o.Patient
	}
	paths, held := r.compartment[kind]
	return !held || kind == "OperationOutcome" || slices.Contains(r.patients(paths, resource), r.o.Patient)
}

// patients are the ids of the patients that a resource's compartment elements name.
func (r *oracle) patients(paths []string, resource map[string]any) (ids []string) {
	for _, path := range paths {
		at := []any{resource}
		for _, name := range strings.Split(path, ".") {
			var below []any
			for _, v := range at {
				if object, ok := v.(map[string]any); ok {
					below = append(below, list(object[name])...)
				}
			}
			at = below
		}
		for _, v := range at {
			object, _ := v.(map[string]any)
			s, _ := object["reference"].(string)
			if ref, ok := r.reference(s); ok && ref.kind == "Patient" {
				ids = append(ids, ref.id)
			}
		}
	}
	return ids
}

// list is the elements of an array, or the one value that stands alone.
func list(v any) []any {
	if array, ok := v.([]any); ok {
		return array
	}
	return []any{v}
}

// resource prunes a resource that leaves.
func (r *oracle) resource(kind string, resource map[string]any) any {
	r.released[kind]++
	defer func(outer map[string]bool) { r.locals = outer }(r.locals)
	r.locals = nil
	r.sampled = r.hasRow(kind) && r.released[kind] <= 8
	for _, name := range r.ds.Require[kind] {
		if resource[name] == nil {
			r.missing[kind+"."+name]++
		}
	}
	switch kind {
	case "OperationOutcome":
		return r.outcome(resource)
	case "Bundle":
		r.nested++
		defer func() { r.nested-- }()
		return r.bundle(resource, false)
	case "Parameters":
		r.parametric++
		defer func() { r.parametric-- }()
		return r.parameters(resource)
	}
	r.kind, r.holds = kind, r.ds.Resources[kind]["contained"].Method == transforms.Keep
	r.locals = r.local(resource)
	if id, ok := resource["id"].(string); ok {
		r.name(kind, id)
	}
	for _, id := range r.patients(r.compartment[kind], resource) {
		r.name("Patient", id)
	}
	out := r.body(r.ds.Resources[kind], resource)
	meta, _ := out["meta"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	tags, _ := meta["tag"].([]any)
	if !slices.ContainsFunc(tags, func(v any) bool {
		tag, _ := v.(map[string]any)
		return tag["system"] == tagSystem && tag["code"] == tagCode
	}) {
		tags = append(slices.Clip(tags), map[string]any{"system": tagSystem, "code": tagCode})
	}
	meta["tag"] = tags
	out["meta"] = meta
	return r.tidied(out, kind, resource)
}

// local says of each id of a contained resource whether what has it leaves.
func (r *oracle) local(resource map[string]any) map[string]bool {
	ids := map[string]bool{}
	contained, _ := resource["contained"].([]any)
	for _, v := range contained {
		v, ok := v.(map[string]any)
		if !r.holds || !ok {
			continue
		}
		if id, ok := v["id"].(string); ok && localID.MatchString(id) {
			leaves, there := ids[id]
			ids[id] = r.uncontained(v) == "" && (leaves || !there)
		}
	}
	return ids
}

var localID = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// uncontained is the cause for which a contained resource does not leave.
func (r *oracle) uncontained(resource map[string]any) string {
	kind, _ := resource["resourceType"].(string)
	if !r.hasRow(kind) {
		return "type"
	}
	if r.labelled(resource) {
		return "label"
	}
	return ""
}

func (r *oracle) localID(v any) any {
	if s, ok := v.(string); ok && localID.MatchString(s) {
		return s
	}
	return nil
}

// contained is what leaves of the contained resources.
func (r *oracle) contained(v any) any {
	if !r.holds || r.inside {
		return nil
	}
	array, _ := v.([]any)
	return each(array, func(v any) any {
		resource, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		kind, _ := resource["resourceType"].(string)
		if cause := r.uncontained(resource); cause != "" {
			r.drop(cause, kind)
			return nil
		}
		r.released[kind]++
		bare := maps.Clone(resource)
		delete(bare, "meta") // which has no business there, but for its labels
		for _, id := range r.patients(r.compartment[kind], bare) {
			r.name("Patient", id)
		}
		outer := r.kind
		r.kind, r.inside = kind, true
		defer func() { r.kind, r.inside = outer, false }()
		return r.body(r.ds.Resources[kind], resource)
	})
}
