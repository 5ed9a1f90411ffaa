package reference

import (
	"regexp"
	"strings"
)

// parameters is the built-in row of Parameters, with what the dataset adds.
func (r *oracle) parameters(resource map[string]any) any {
	r.kind = "Parameters"
	defer func() { r.kind = "" }()
	out := map[string]any{"resourceType": "Parameters"}
	for name, v := range resource {
		if name == "parameter" {
			if v = r.parameter("parameter", v); v != nil {
				out[name] = v
				continue
			}
		}
		if name != "resourceType" {
			r.removed["Parameters"]++
		}
	}
	return r.tidied(out, "Parameters", resource)
}

func (r *oracle) parameter(at string, v any) any {
	return objects(v, func(parameter map[string]any) any {
		out := map[string]any{}
		for name, v := range parameter {
			var kept any
			switch name {
			case "name":
				if isText(v) {
					kept = v
				}
			case "resource":
				if resource, ok := v.(map[string]any); ok {
					kept = r.part(resource)
					r.kind, r.sampled = "Parameters", false
				}
			case "part":
				kept = r.parameter("parameter.part", v)
			default:
				base, sibling := strings.CutPrefix(name, "_")
				var sub []line
				for _, l := range lines(r.ds.Resources["Parameters"]) {
					if l.rest = l.rest[1:]; l.rest[0].name == base {
						sub = append(sub, l)
					}
				}
				if len(sub) > 0 {
					kept = r.member(sub, nil, below("parameter", base), v, sibling)
				}
			}
			if kept != nil {
				out[name] = kept
			} else {
				r.removed[r.element(at)]++
			}
		}
		if _, named := out["name"]; len(out) == 0 || named && len(out) == 1 {
			return nil
		}
		return out
	})
}

// outcome is the built-in row of an OperationOutcome.
func (r *oracle) outcome(resource map[string]any) any {
	r.kind, r.holds, r.locals, r.sampled = "OperationOutcome", false, nil, false
	out := map[string]any{"resourceType": "OperationOutcome"}
	for name, v := range resource {
		if name == "issue" {
			if v := objects(v, r.issue); v != nil {
				out[name] = v
				continue
			}
		}
		if name != "resourceType" {
			r.removed["OperationOutcome"]++
		}
	}
	return out
}

var aCode = regexp.MustCompile(`^[a-z-]{1,64}$`)

// issue is what leaves of an issue: its severity and its code.
func (r *oracle) issue(issue map[string]any) any {
	out := map[string]any{}
	for name, v := range issue {
		if s, ok := v.(string); ok && (name == "severity" || name == "code") && aCode.MatchString(s) {
			out[name] = s
		} else {
			r.removed["OperationOutcome.issue"]++
		}
	}
	return unlessEmpty(out)
}
