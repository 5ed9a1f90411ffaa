package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// rules looks at modules that compile. What they say is looked at as it was written, since the compiler rewrites it.
func (l *linter) rules(compiler *ast.Compiler) {
	if why := unsteady(compiler); why != "" {
		l.add("decision-cache", SeverityWarning, "", 0, "no decision of this bundle is remembered: "+why, "take it from the input: input.time is the clock")
	}
	asked := reachable(compiler)
	enums := inputEnums()
	for _, file := range slices.Sorted(maps.Keys(l.source.live)) {
		module := l.source.live[file]
		told := map[string]bool{}
		for _, rule := range module.Rules {
			name := rule.Path().String()
			if !asked[name] && !told[name] {
				told[name] = true
				l.add("rego-unreachable", SeverityWarning, file, rule.Location.Row,
					fmt.Sprintf("nothing that the decision asks for reads %s", strings.TrimPrefix(name, "data.")),
					"use it in a condition of the decision, or remove it; what only tests use belongs into a file _test.rego")
			}
			l.branches(file, rule)
			l.values(file, rule, enums)
			if asked[name] {
				l.walks(file, rule)
			}
		}
	}
}

// reachable are the paths of the rules that the decision, or another rule that is marked as an entry point, can read.
func reachable(compiler *ast.Compiler) map[string]bool {
	entry := ast.MustParseRef(entryPoint)
	queue := append(compiler.GetRulesExact(entry), compiler.GetRulesWithPrefix(entry)...)
	for _, module := range compiler.Modules {
		for _, a := range module.Annotations {
			if a.Entrypoint {
				queue = append(queue, compiler.GetRulesExact(a.GetTargetPath())...)
			}
		}
	}
	seen, paths := map[*ast.Rule]bool{}, map[string]bool{}
	for len(queue) > 0 {
		rule := queue[0]
		queue = queue[1:]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		paths[rule.Path().String()] = true
		if rule.Else != nil {
			queue = append(queue, rule.Else)
		}
		for next := range compiler.Graph.Dependencies(util.T(rule)) {
			if next, ok := next.(*ast.Rule); ok {
				queue = append(queue, next)
			}
		}
	}
	return paths
}

// branches finds the branches of a rule that no input reaches: behind one that always holds, behind one that asks less, or with
// a condition that is false.
func (l *linter) branches(file string, rule *ast.Rule) {
	var before []map[string]bool // the conditions of each branch
	for r := rule; r != nil; r = r.Else {
		conditions := map[string]bool{}
		for _, e := range r.Body {
			conditions[e.String()] = true
		}
		if conditions["false"] {
			l.add("rego-never", SeverityWarning, file, r.Location.Row, "a condition here is false, so it never holds", "remove it")
		}
		delete(conditions, "true")
		for _, earlier := range before {
			asksMore := true
			for c := range earlier {
				asksMore = asksMore && conditions[c]
			}
			if !asksMore {
				continue
			}
			text := "this branch is never reached: where it holds, one before it has decided already"
			if len(earlier) == 0 {
				text = "this branch is never reached: one before it always holds"
			}
			l.add("rego-shadowed", SeverityWarning, file, r.Location.Row, text, "put it before that one, or remove it")
			break
		}
		before = append(before, conditions)
	}
}

// values finds comparisons of the input with what it never is.
func (l *linter) values(file string, rule *ast.Rule, enums map[string][]string) {
	check := func(field *ast.Term, row int, values ...*ast.Term) {
		ref, ok := field.Value.(ast.Ref)
		if !ok || !ref.HasPrefix(ast.InputRootRef) {
			return
		}
		name := ref.String()
		for _, v := range values {
			text, ok := v.Value.(ast.String)
			if !ok || text == "" {
				continue
			}
			value := string(text)
			if known, bounded := enums[name]; bounded && !slices.Contains(known, value) {
				l.add("input-value", SeverityWarning, file, row, fmt.Sprintf("%s is never %q", name, value), "it is one of "+strings.Join(known, ", "))
			} else if !bounded && l.defs.Has != nil && !l.defs.Has(name, value) {
				l.add("input-value", SeverityWarning, file, row, fmt.Sprintf("%s is never %q", name, value), "see schemas/input.json for what it can be; upper and lower case count")
			}
		}
	}
	ast.WalkExprs(rule, func(e *ast.Expr) bool {
		if !e.IsCall() || len(e.Operands()) != 2 || e.Location == nil {
			return false
		}
		left, right := e.Operand(0), e.Operand(1)
		switch e.Operator().String() {
		case "equal", "eq", "neq":
			check(left, e.Location.Row, right)
			check(right, e.Location.Row, left)
		case "internal.member_2":
			check(left, e.Location.Row, members(right)...)
		}
		return false
	})
}

// compared are the texts that rules compare a field of the input with.
func compared(modules map[string]*ast.Module, field string) (all []string) {
	take := func(t *ast.Term, values ...*ast.Term) {
		if ref, ok := t.Value.(ast.Ref); ok && ref.String() == field {
			for _, v := range values {
				if text, ok := v.Value.(ast.String); ok {
					all = append(all, string(text))
				}
			}
		}
	}
	for _, module := range modules {
		ast.WalkExprs(module, func(e *ast.Expr) bool {
			if e.IsCall() && len(e.Operands()) == 2 {
				left, right := e.Operand(0), e.Operand(1)
				take(left, append(members(right), right)...)
				take(right, left)
			}
			return false
		})
	}
	return all
}

func members(t *ast.Term) (all []*ast.Term) {
	each := func(t *ast.Term) { all = append(all, t) }
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(each)
	case ast.Set:
		v.Foreach(each)
	}
	return all
}

// inputEnums are the fields of the input that the schema gives a list of values.
func inputEnums() map[string][]string {
	enums := map[string][]string{}
	var walk func(at string, schema map[string]any)
	walk = func(at string, schema map[string]any) {
		list, _ := schema["enum"].([]any)
		for _, v := range list {
			if text, ok := v.(string); ok {
				enums[at] = append(enums[at], text)
			}
		}
		below, _ := schema["properties"].(map[string]any)
		for name, s := range below {
			if s, ok := s.(map[string]any); ok {
				walk(at+"."+name, s)
			}
		}
	}
	set, err := inputSchema()
	if err != nil {
		return nil // the program's own; Load tells it
	}
	if schema, ok := set.Get(ast.SchemaRootRef).(map[string]any); ok {
		walk("input", schema)
	}
	return enums
}

// walks finds what goes through lists on every call.
func (l *linter) walks(file string, rule *ast.Rule) {
	const fix = "look it up by a key, data.halfdoor.roles[role], which OPA finds by an index; the bundle's README tells how"
	add := func(at *ast.Location, what string) {
		if at != nil {
			l.add("rego-walk", SeverityHint, file, at.Row, what+" on every call that comes here", fix)
		}
	}
	for r := rule; r != nil; r = r.Else {
		ast.WalkNodes(r.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Every:
				add(n.Location, "every goes through a whole list")
			case *ast.SomeDecl:
				if len(n.Symbols) == 1 {
					if _, isCall := n.Symbols[0].Value.(ast.Call); isCall {
						add(n.Location, "some … in goes through a list")
					}
				}
			case *ast.Term:
				switch v := n.Value.(type) {
				case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
					add(n.Location, "a comprehension goes through a list")
				case ast.Ref:
					for _, part := range v[1:] {
						if name, ok := part.Value.(ast.Var); ok && name.IsWildcard() {
							add(n.Location, "[_] goes through a list")
						}
					}
				}
			}
			return false
		})
	}
}
