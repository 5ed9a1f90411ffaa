package policies

import (
	"io/fs"
	"strings"
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

// Unread has the engine's key leave out one value, as if the analysis had missed that the policy reads it. It says
// whether the key had it.
func (e *Engine) Unread(reference string) bool {
	for l, at := range leafPaths {
		if reference == "input."+strings.Join(at, ".") && e.reads&(1<<l) != 0 {
			e.reads &^= 1 << l
			return true
		}
	}
	return false
}

// Key is what decisions on an input are remembered by, if the policy reads all of it.
func Key(in *Input) []byte { return allLeaves.key(nil, in) }

// LeafPaths are the references of all values that a key is made of.
func LeafPaths() []string { return allLeaves.names() }

// Cached is how many decisions the engine holds, and about how many bytes.
func (e *Engine) Cached() (entries, bytes int) {
	for i := range e.cache.shards {
		s := &e.cache.shards[i]
		for _, generation := range []map[string]*Decision{s.young, s.old} {
			entries += len(generation)
			for key, d := range generation {
				bytes += sizeOf(key, d)
			}
		}
	}
	return entries, bytes
}

// The bounds of a cache.
const (
	MaxEntries = maxEntries
	MaxBytes   = maxBytes
	MaxKey     = maxKey
)

// Unsteady is what is said of a module that is compiled with everything that OPA has.
func Unsteady(t testing.TB, source string) string {
	t.Helper()
	c, err := ast.CompileModules(map[string]string{"a.rego": source})
	if err != nil {
		t.Fatal(err)
	}
	return unsteady(c)
}

// Each has a Shadow say when it has compared a call. It is for before the first one.
func (s *Shadow) Each() <-chan struct{} {
	each := make(chan struct{}, cap(s.queue))
	s.compared = func() { each <- struct{}{} }
	return each
}
