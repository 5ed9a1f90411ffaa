package policies

import (
	"io/fs"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func readAll(t testing.TB, tree fs.FS) *source {
	t.Helper()
	var found problems
	s := read(tree, &found)
	if err := found.err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ReadData is the data of a bundle as Load reads it.
func ReadData(t testing.TB, tree fs.FS) map[string]any {
	t.Helper()
	return readAll(t, tree).data
}

// ReadRego is the text of a bundle's rules, without tests.
func ReadRego(t testing.TB, tree fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name := range readAll(t, tree).live {
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(content)
	}
	return out
}

// InputJSON is the document that a policy is given.
func InputJSON(t testing.TB, in *Input) []byte {
	t.Helper()
	return []byte(in.value().String())
}

// TryData is the data of a tree, if Load has nothing against its files.
func TryData(tree fs.FS) (map[string]any, bool) {
	var found problems
	s := read(tree, &found)
	return s.data, len(found) == 0
}

// ParseDecision reads a decision's value and says what is wrong with it, or "".
func ParseDecision(v ast.Value) (*Decision, string) { return parseDecision(v) }

// The forms that a decision is held to.
var IsCode, IsPurpose, IsID, IsName = isCode, isPurpose, isID, isName
