package reference

import (
	"regexp"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// body prunes a resource by its rows.
func (r *oracle) body(rules map[string]transforms.Rule, resource map[string]any) map[string]any {
	p := settle(slices.DeleteFunc(lines(rules), func(l line) bool { return l.rest[0].name == "contained" }), nil, "")
	var out map[string]any
	if p.star != nil {
		out, _ = r.keepObject(context{resource: true}, p, "", resource).(map[string]any)
	} else {
		out, _ = r.object(p, "", resource).(map[string]any)
	}
	if out == nil {
		out = map[string]any{}
	}
	out["resourceType"] = resource["resourceType"]
	return out
}

// lines are rows with their paths taken apart.
func lines(rules map[string]transforms.Rule) (all []line) {
	for path, rule := range rules {
		l := line{rule: rule, rest: steps(path)}
		for _, s := range l.rest {
			l.weight += len(s.conditions)
		}
		all = append(all, l)
	}
	return all
}

// line is a row: the steps that are left of its path from where it is looked at.
type line struct {
	rule   transforms.Rule
	rest   []pathStep
	weight int // conditions in its whole path
}

type pathStep struct {
	name       string
	conditions map[string]string
}

var (
	aStep      = regexp.MustCompile(`^([A-Za-z0-9]+|\*)(\[(?:[^\]']|'(?:[^'\\]|\\.)*')*\])?(?:\.|$)`)
	aCondition = regexp.MustCompile(`([A-Za-z0-9]+)=(?:'((?:[^'\\]|\\.)*)'|([^,\]]*))`)
	anEscape   = regexp.MustCompile(`\\(.)`)
)

// steps takes a path apart that is known to be one.
func steps(path string) (all []pathStep) {
	for path != "" {
		m := aStep.FindStringSubmatch(path)
		s := pathStep{name: m[1]}
		for _, c := range aCondition.FindAllStringSubmatch(m[2], -1) {
			if s.conditions == nil {
				s.conditions = map[string]string{}
			}
			s.conditions[c[1]] = anEscape.ReplaceAllString(c[2], "$1") + c[3]
		}
		all = append(all, s)
		path = path[len(m[0]):]
	}
	return all
}

// going are the lines that go on with a name.
func going(lines []line, name string) (sub []line) {
	for _, l := range lines {
		if l.rest[0].name == name {
			sub = append(sub, l)
		}
	}
	return sub
}

func conditioned(sub []line) bool {
	return slices.ContainsFunc(sub, func(l line) bool { return l.rest[0].conditions != nil })
}

// met are the lines, one step further, whose conditions the value meets.
func met(sub []line, v any) (lines []line) {
	object, _ := v.(map[string]any)
	for _, l := range sub {
		all := true
		for member, want := range l.rest[0].conditions {
			s, ok := object[member].(string)
			all = all && ok && s == want
		}
		if all {
			l.rest = l.rest[1:]
			lines = append(lines, l)
		}
	}
	return lines
}

// place is an element as the rows that are for it see it.
type place struct {
	own  *line   // the row of the element itself that counts
	star *string // the path of the element that a * keeps, here or above; not where there is an own row
	rows []line  // below
}

func settle(lines []line, star *string, at string) place {
	p := place{star: star}
	for i, l := range lines {
		if len(l.rest) == 0 && (p.own == nil || p.own.weight < l.weight) {
			p.own = &lines[i]
		}
	}
	if p.own != nil {
		p.star = nil
	}
	for _, l := range lines {
		switch {
		case len(l.rest) == 0:
		case p.own != nil:
			last := l.rest[len(l.rest)-1].name
			if p.own.rule.Method == transforms.Keep && l.rule.Method == transforms.Keep &&
				slices.Contains([]string{"extension", "modifierExtension", "display", "text"}, last) {
				p.rows = append(p.rows, l)
			}
		case l.rest[0].name == "*":
			if p.star == nil {
				p.star = &at
			}
		default:
			p.rows = append(p.rows, l)
		}
	}
	return p
}

func (r *oracle) element(path string) string { return strings.TrimSuffix(r.kind+"."+path, ".") }

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

func below(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// object prunes an object that rows below it govern; nil if nothing stays.
func (r *oracle) object(p place, path string, object map[string]any) any {
	anything := func(l line) bool { return l.rule.Method != transforms.Remove }
	counts := path == "" || path == "meta" && r.kind != "OperationOutcome" || slices.ContainsFunc(p.rows, anything)
	out := map[string]any{}
	for name, v := range object {
		if path == "" && name == "resourceType" {
			continue // a resource's own, set by the caller
		}
		base, sibling := strings.CutPrefix(name, "_")
		at, sub := below(path, base), going(p.rows, base)
		if len(sub) == 0 && (path == "" || len(p.rows) > 0) {
			r.unnamed(path, name)
		}
		var kept any
		switch {
		case name == "_":
		case path == "" && r.inside && at == "meta": // has no business there
		case path == "" && r.inside && name == "id":
			kept = r.localID(v)
		case path == "" && name == "contained":
			kept = r.contained(v)
		case name == "id" && path == "" && !isText(v): // no id, and nothing to name the resource by
		case len(sub) > 0, at == "meta" && !sibling && r.kind != "OperationOutcome":
			kept = r.member(sub, nil, at, v, sibling)
		}
		if kept != nil {
			out[name] = kept
		} else if counts {
			r.removed[r.element(path)]++
		}
	}
	return unlessEmpty(out)
}

var anElement = regexp.MustCompile(`^[a-z_][A-Za-z0-9]{0,63}$`)

// unnamed counts a member that no row names.
func (r *oracle) unnamed(path, name string) {
	base := strings.TrimPrefix(name, "_")
	if !r.sampled || r.inside || path == "" && (base == "id" || base == "meta" || base == "resourceType" || base == "contained" && r.holds) {
		return
	}
	if !anElement.MatchString(name) {
		name = "?"
	}
	r.unknown[r.element(path)+"."+name]++
}
