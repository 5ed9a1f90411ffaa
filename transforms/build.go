package transforms

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// How rows become a tree of nodes. Where several rows could say how an element leaves, this one
// does, in this order:
//
//   - the row of this very element with the most conditions on the way to it, before rows below it
//     with fewer on the way to it;
//   - a row below a kept element, where it widens what is kept (see [Keep]);
//   - the * above it.
//
// Two rows with equally many conditions that one object can meet, and that differ, are a problem:
// the dataset then needs a row with the conditions of both.

// builder makes the tree of one resource type, and finds what is wrong with its rows.
type builder struct {
	kind     string
	nodes    int
	problems []string
}

// line is a row, on its way down the tree.
type line struct {
	rule   Rule
	path   string    // as the dataset has it
	rest   []segment // below the node
	weight int       // conditions on its way to the node
}

// look is an element that must be looked at, whether or not a row names it.
type look struct {
	rest []string
	part bool // it is the reference of a part of a compartment
}

// entered is what enters is until the tree is part of a plan.
const entered = 1

const (
	maxVariants = 256    // of one element
	maxNodes    = 20_000 // of one type
)

func (b *builder) problem(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !slices.Contains(b.problems, s) {
		b.problems = append(b.problems, s)
	}
}

// build makes the tree of a type's rows.
func build(kind string, rules map[string]Rule, parts []string) (*node, []string) {
	b := &builder{kind: kind}
	var lines []line
	seen := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(rules)) {
		l := line{rule: rules[path], path: path}
		var err error
		if l.rest, err = parsePath(path); err != nil {
			text := fmt.Sprintf("%s: %q is not an element path", kind, path)
			if err != errPath {
				text += ": " + err.Error()
			}
			b.problem("%s", text)
			continue
		}
		same := canonical(l.rest)
		if other, ok := seen[same]; ok {
			b.problem("%s.%s: %s says the same", kind, path, other)
			continue
		}
		seen[same] = path
		if text := misuse(kind, l); text != "" {
			b.problem("%s.%s: %s", kind, path, text)
			continue
		}
		lines = append(lines, l)
	}
	looks := []look{{rest: []string{"resourceType"}}, {rest: []string{"id"}}, {rest: []string{"meta", "security"}}}
	for _, path := range parts {
		looks = append(looks, look{append(strings.Split(path, "."), "reference"), true})
	}
	root := &node{path: kind}
	b.fill(root, lines, looks, nil)
	if root.hidden = false; root.star == nil {
		root.enters = entered
	}
	return root, b.problems
}

// misuse says why a row makes no sense by itself.
func misuse(kind string, l line) string {
	first, last := l.rest[0], l.rest[len(l.rest)-1]
	switch {
	case l.path == "resourceType":
		return "always leaves; leave the row out"
	case kind == "Parameters" && (len(l.rest) < 2 || first.name != "parameter" || first.conditions != nil || !strings.HasPrefix(l.rest[1].name, "value")):
		return "its row is built in; a dataset can add rows of parameter.value… only"
	case kind == "Parameters" && l.rule.Method == Shift:
		return "Parameters are of no patient whose days could move a date"
	case first.name == "contained" && (len(l.rest) > 1 || first.conditions != nil || l.rule.Method != Keep):
		return "contained resources leave by the rows of their types, where contained is kept"
	case first.name == "id" && len(l.rest) > 1:
		return "an id has nothing below it"
	case first.conditions != nil && (first.name == "id" || first.name == "meta" || first.name == "resourceType"):
		return "there is one only, so it takes no conditions"
	case slices.ContainsFunc(l.rest, func(s segment) bool { return s.name == "text" && s.conditions != nil }):
		return "a text takes no conditions"
	case int(l.rule.Method) >= len(methodNames):
		return "unknown method"
	case l.rule.Method == Fixed && !isScalar(l.rule.Value):
		return "a fixed value must be a string, a number, true or false"
	case l.rule.Method != Fixed && l.rule.Value != "":
		return "only a fixed element has a value"
	case last.name == "*" && l.rule.Method != Keep:
		return "* can only be kept"
	}
	return ""
}

// fill makes a node what its rows say. A star is above it whose row keeps what no other row names.
func (b *builder) fill(n *node, lines []line, looks []look, star *node) {
	if b.nodes++; b.nodes == maxNodes+1 {
		b.problem("%s: too many conditions", b.kind)
	}
	if b.nodes > maxNodes {
		return
	}
	n.star, n.named = star, len(lines) > 0
	var own *line
	for i := range lines {
		l := &lines[i]
		if len(l.rest) > 0 {
			continue
		}
		if own != nil && own.weight == l.weight && own.rule != l.rule {
			b.problem("%s.%s: %s can be of the same object, and says otherwise; add a row with the conditions of both", b.kind, l.path, own.path)
		}
		if own == nil || own.weight < l.weight {
			own = l
		}
	}
	if own != nil {
		if own.rule.Method == Remove && own.weight == 0 && star == nil {
			b.problem("%s.%s: what is not named is removed; leave the row out", b.kind, own.path)
		}
		n.star, n.own = nil, star != nil
		n.method, n.fixed = own.rule.Method, own.rule.Value
		if n.allow = leftOut(n.name); n.allow == textName {
			n.allow |= divName
		}
	}
	kids := map[string][]line{}
	for _, l := range lines {
		switch {
		case len(l.rest) == 0:
		case own != nil && !widens(own.rule, l):
			if l.weight >= own.weight {
				b.problem("%s.%s: %s already says how it leaves%s", b.kind, l.path, own.path, hint(own, l))
			}
		case l.rest[0].name == "*":
			if n.star == nil {
				n.star = n
			}
		default:
			name := l.rest[0].name
			kids[name] = append(kids[name], l)
		}
	}
	if own == nil && n.star == nil && len(kids) > 0 {
		n.enters = entered
	}
	seen := map[string][]look{}
	for _, l := range looks {
		n.part = n.part || l.part && len(l.rest) <= 1
		if len(l.rest) > 0 {
			seen[l.rest[0]] = append(seen[l.rest[0]], look{l.rest[1:], l.part})
			if kids[l.rest[0]] == nil {
				kids[l.rest[0]] = []line{}
			}
		}
	}
	n.hidden = !n.leaf() && n.star != n
	for _, name := range slices.Sorted(maps.Keys(kids)) {
		k := b.kid(n, name, kids[name], seen[name])
		n.kids = append(n.kids, k)
		n.hidden = n.hidden && k.hidden
	}
}

// hint says how to mean what a row below a kept one means.
func hint(above *line, l line) string {
	if above.rule.Method == Keep && l.weight > above.weight {
		return "; " + above.path + ".* would leave room for it"
	}
	return ""
}

// kid makes the kid of a name: one node, or one for each way in which its conditions can be met.
func (b *builder) kid(n *node, name string, lines []line, looks []look) *node {
	k := &node{name: name, path: n.path + "." + name}
	star := n.star
	if leftOut(name) != 0 {
		star = nil // a star leaves it out: what rows say of it is all that leaves
		defer func() { k.own = n.star != nil && len(lines) > 0 }()
	}
	values := map[string][]string{}
	for _, l := range lines {
		for _, c := range l.rest[0].conditions {
			if !slices.Contains(values[c.member], c.value) {
				values[c.member] = append(values[c.member], c.value)
			}
		}
	}
	k.named = len(lines) > 0
	if len(values) == 0 {
		b.fill(k, below(lines, nil), looks, star)
		return k
	}
	k.star, k.own, k.hidden = star, star != nil, true
	total := 1
	for _, member := range slices.Sorted(maps.Keys(values)) {
		q := question{member: member, weight: total, answers: map[string]int{}}
		for i, value := range values[member] {
			q.answers[value] = (i + 1) * total
		}
		k.questions = append(k.questions, q)
		if total *= len(values[member]) + 1; total > maxVariants {
			b.problem("%s.%s: its conditions can be met in more than %d ways", b.kind, lines[0].path, maxVariants)
			return k
		}
	}
	for i := range total {
		v := &node{name: name, path: k.path}
		b.fill(v, below(lines, func(c condition) bool {
			for _, q := range k.questions {
				if q.member == c.member {
					return i/q.weight%(len(q.answers)+1) == q.answers[c.value]/q.weight
				}
			}
			return false
		}), looks, star)
		v.own = false // its kid is, which leads here
		k.variants = append(k.variants, v)
		k.part = v.part
		k.hidden = k.hidden && v.hidden
	}
	return k
}

// below returns the lines one step further down, of which all conditions are met there.
func below(lines []line, met func(condition) bool) []line {
	var out []line
	for _, l := range lines {
		if !slices.ContainsFunc(l.rest[0].conditions, func(c condition) bool { return !met(c) }) {
			l.weight += len(l.rest[0].conditions)
			l.rest = l.rest[1:]
			out = append(out, l)
		}
	}
	return out
}

// widens says whether a row below a kept element adds to it what keeping leaves out.
func widens(above Rule, l line) bool {
	if above.Method != Keep || l.rule.Method != Keep {
		return false
	}
	switch l.rest[len(l.rest)-1].name {
	case "extension", "modifierExtension", "display", "text":
		return true
	}
	return false
}
