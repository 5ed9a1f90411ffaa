package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// parameters maps the search parameters of every type to elements.
func (m *model) parameters(searches []definition) map[string]map[string]*parameter {
	byURL := map[string]*definition{}
	for i := range searches {
		byURL[searches[i].URL] = &searches[i]
	}
	tables := map[string]map[string]*parameter{}
	for i := range searches {
		d := &searches[i]
		if d.Expression == "" && strings.HasPrefix(d.Code, "_") {
			continue // _text, _content, _query: package fhir knows them as not supported
		}
		for _, typ := range d.Base {
			p := &parameter{name: d.Code, typ: d.typ()}
			var err error
			p.leaves, err = m.leaves(typ, d, byURL)
			p.mapped = err == nil
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s.%s: not mapped: %v\n", typ, d.Code, err)
				p.leaves = nil
			}
			for _, c := range d.Component {
				p.components += string(letters[byURL[c.Definition].typ()])
			}
			if p.typ == "reference" {
				p.targets = m.targets(p.leaves, d.Target)
			}
			if tables[typ] == nil {
				tables[typ] = map[string]*parameter{}
			}
			tables[typ][d.Code] = p
		}
	}
	return tables
}

// leaves are the elements that a parameter reads of one type.
func (m *model) leaves(typ string, d *definition, byURL map[string]*definition) ([]leaf, error) {
	var all []leaf
	for _, expr := range alternatives(d.Expression) {
		first, _, _ := strings.Cut(strings.TrimLeft(expr, "("), ".")
		if first != typ {
			if _, other := m.elements[first]; other {
				continue // another of the parameter's types
			}
			expr = typ + "." + expr // a relative one, such as Organization's "name | alias"
		}
		if d.typ() != "composite" {
			ls, err := m.resolve(node{def: typ}, typ, expr, d.typ())
			if err != nil {
				return nil, err
			}
			all = append(all, ls...)
			continue
		}
		bases, _, err := m.walk([]node{{def: typ}}, steps(expr)[1:])
		if err != nil {
			return nil, err
		}
		for _, c := range d.Component {
			for _, part := range alternatives(c.Expression) {
				from := bases[0]
				if rest, ok := strings.CutPrefix(part, "%resource."); ok {
					from, part = node{def: typ}, rest
				}
				ls, err := m.resolve(from, "", part, byURL[c.Definition].typ())
				if err != nil {
					return nil, err
				}
				all = append(all, ls...)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("expression %q names nothing", d.Expression)
	}
	return all, nil
}

// resolve follows one alternative to the elements that it reads.
func (m *model) resolve(from node, typ, expr, paramType string) ([]leaf, error) {
	if subject, ok := strings.CutSuffix(expr, " != false"); ok { // Patient.deceased
		expr, ok = strings.CutSuffix(subject[:strings.Index(subject, " and ")], ".exists()")
		if !ok {
			return nil, fmt.Errorf("expression %q", expr)
		}
		paramType = "" // exists() reads all types of the choice
	}
	list := steps(expr)
	if typ != "" {
		list = list[1:]
	}
	nodes, also, err := m.walk([]node{from}, list)
	if err != nil {
		return nil, err
	}
	if len(nodes) > 1 && paramType != "" {
		fits := slices.DeleteFunc(slices.Clone(nodes), func(n node) bool {
			return !slices.Contains(strings.Fields(reads[paramType]), n.typ)
		})
		if len(fits) > 0 {
			nodes = fits
		}
	}
	var ls []leaf
	for _, n := range nodes {
		switch n.typ {
		case "", "BackboneElement", "Element", "Resource", "Extension":
			return nil, fmt.Errorf("%s is a %s", n.path, n.typ)
		}
		ls = append(ls, leaf{path: n.path, typ: n.typ, targets: n.targets,
			patient: n.typ == "Reference" && (n.targets == nil || slices.Contains(n.targets, "Patient"))})
	}
	return append(ls, also...), nil
}

var (
	cast    = regexp.MustCompile(`^ofType\((\w+)\)$`)
	resolve = regexp.MustCompile(`^where\(resolve\(\) is (\w+)\)$`)
	filter  = regexp.MustCompile(`^where\((\w+)='[\w-]+'\)$`)
	index   = regexp.MustCompile(`\[\d+\]$`)
	plain   = regexp.MustCompile(`^\w+$`)
)

// walk follows steps; also are the elements that filters on the way read.
func (m *model) walk(nodes []node, list []string) (_ []node, also []leaf, _ error) {
	for _, step := range list {
		step = index.ReplaceAllString(step, "")
		var next []node
		switch {
		case cast.MatchString(step):
			want := cast.FindStringSubmatch(step)[1]
			for _, n := range nodes {
				if strings.EqualFold(n.typ, want) { // HL7 writes DateTime once
					next = append(next, n)
				}
			}
		case resolve.MatchString(step):
			for _, n := range nodes {
				if n.typ == "Reference" {
					n.targets = resolve.FindStringSubmatch(step)[1:]
					next = append(next, n)
				}
			}
		case filter.MatchString(step):
			for _, n := range nodes {
				for _, c := range m.children(n, filter.FindStringSubmatch(step)[1]) {
					also = append(also, leaf{path: c.path, typ: c.typ})
				}
			}
			next = nodes
		case plain.MatchString(step):
			for _, n := range nodes {
				next = append(next, m.children(n, step)...)
			}
		default:
			return nil, nil, fmt.Errorf("step %q", step)
		}
		if len(next) == 0 {
			return nil, nil, fmt.Errorf("step %q finds nothing", step)
		}
		nodes = next
	}
	return nodes, also, nil
}

var (
	asInfix = regexp.MustCompile(`^\(([\w.]+) as (\w+)\)`)
	wrapped = regexp.MustCompile(`^\(([\w.]+\.ofType\(\w+\))\)`)
)

// alternatives splits an expression on "|" and writes each cast as ".ofType(T)".
func alternatives(expr string) []string {
	var all []string
	for part := range strings.SplitSeq(expr, "|") {
		part = strings.TrimSpace(part)
		part = asInfix.ReplaceAllString(part, "$1.ofType($2)")
		part = wrapped.ReplaceAllString(part, "$1")
		part = strings.ReplaceAll(part, ".as(", ".ofType(")
		if part != "" {
			all = append(all, part)
		}
	}
	return all
}

// steps splits a path on its dots, but not within parentheses.
func steps(expr string) []string {
	depth := 0
	return strings.FieldsFunc(expr, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return r == '.' && depth == 0
	})
}

// targets are the types that a reference parameter can point to: those of its
// elements that its definition names, in order. Nil for any.
func (m *model) targets(leaves []leaf, declared []string) []string {
	var all []string
	for _, l := range leaves {
		if l.typ == "Reference" && l.targets == nil || l.typ == "canonical" || l.typ == "uri" {
			if len(declared) > 100 || len(declared) == 0 {
				return nil
			}
			all = append(all, declared...)
			continue
		}
		all = append(all, l.targets...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(t string) bool {
		return !slices.Contains(m.resources, t) || len(declared) > 0 && !slices.Contains(declared, t)
	})
}
