package policies

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
)

// reads finds which values of the input a decision can depend on. Two inputs with the same of these are decided the same.
//
// OPA's own analysis says what the entry point reads. It follows a value through the names that a rule gives it, which
// is clever; a read that it missed would let one caller have another's decision. So each mention of the input in a rule
// that the entry point can reach counts as well, to the end of its constant part: no value of the input gets into a rule
// by another way than a mention. A name for a part of the input thus takes the whole part into the key.
func reads(compiler *ast.Compiler) (leaves, error) {
	entry := ast.MustParseRef(entryPoint)
	found, err := dependencies.Base(compiler, ast.NewTerm(entry))
	if err != nil {
		return 0, err
	}
	var set leaves
	for _, ref := range found {
		if ref.HasPrefix(ast.InputRootRef) {
			set |= leavesOf(ref)
		}
	}
	for rule := range reached(compiler, entry) {
		set |= mentions(rule)
	}
	return set, nil
}

// reached are the rules that a reference can reach, by the graph that OPA keeps to find recursion.
func reached(compiler *ast.Compiler, entry ast.Ref) map[*ast.Rule]bool {
	all := map[*ast.Rule]bool{}
	var visit func(rule *ast.Rule)
	visit = func(rule *ast.Rule) {
		if all[rule] {
			return
		}
		all[rule] = true
		for next := range compiler.Graph.Dependencies(rule) {
			if r, ok := next.(*ast.Rule); ok {
				visit(r)
			}
		}
	}
	for _, rule := range compiler.GetRules(entry) {
		for ; rule != nil; rule = rule.Else { // a branch is a node of its own, to which nothing leads from the first
			visit(rule)
		}
	}
	return all
}

// mentions are the values that the text of a rule names, its else branches included.
func mentions(rule *ast.Rule) leaves {
	var set leaves
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			if !x.HasPrefix(ast.InputRootRef) {
				return false
			}
			set |= leavesOf(x)
			for _, term := range x[1:] { // input.a[input.b]
				visitor.Walk(term)
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) {
				set = allLeaves
			}
		}
		return false
	})
	visitor.Walk(rule)
	return set
}

// unsteady says why the decisions of the compiled rules cannot be remembered, or "": they call a built-in whose answer
// depends on something else than its operands. None of these is available to a policy; this is asked nevertheless,
// since what is remembered would be wrong without any other sign of it.
func unsteady(compiler *ast.Compiler) string {
	var why string
	for _, module := range compiler.Modules {
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if b, ok := ast.BuiltinMap[ref.String()]; ok && why == "" && (b.Nondeterministic || readsClock(b)) {
				why = fmt.Sprintf("it calls %s, whose answer does not follow from the input and the data", b.Name)
			}
			return false
		})
	}
	return why
}

// Reads are the values of the input that a decision can depend on, as references, sorted: "input.caller.roles". They are
// what the key of a remembered decision is made of.
func (e *Engine) Reads() []string { return e.reads.names() }

// Cacheable says whether decisions are remembered, and if they are not, why.
func (e *Engine) Cacheable() (bool, string) { return e.unsteady == "", e.unsteady }
