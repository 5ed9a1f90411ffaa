package policies

import "github.com/open-policy-agent/opa/v1/ast"

// Names says whether a rule of the bundle names a field of the input, by its path ("input.context.patient"), something below it,
// or something above it as a whole. It is about what the rules say, not about one call.
func (e *Engine) Names(field string) bool {
	want := ast.MustParseRef(field)
	reads := false
	for _, module := range e.question.compiler.Modules {
		ast.WalkRefs(module, func(r ast.Ref) bool {
			if reads || !r.HasPrefix(ast.InputRootRef) {
				return reads
			}
			for i := 1; i < min(len(r), len(want)); i++ {
				if _, fixed := r[i].Value.(ast.String); !fixed {
					break // it could be any
				}
				if !r[i].Equal(want[i]) {
					return false
				}
			}
			reads = true
			return true
		})
	}
	return reads
}
