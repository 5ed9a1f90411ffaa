package policies

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/util"
)

// entryPoint is the one question that is asked of a bundle.
const entryPoint = "data.halfdoor.decision"

// parseModule parses one file of Rego into modules. A file that does not parse leaves a nil there.
func parseModule(modules map[string]*ast.Module, name string, content []byte, found *problems) {
	module, err := ast.ParseModuleWithOpts(name, string(content), ast.ParserOptions{
		Capabilities:      capabilities(),
		RegoVersion:       ast.RegoV1,
		ProcessAnnotation: true,
	})
	if err == nil && module == nil {
		found.add(name, 0, "is empty")
	}
	if err != nil {
		addRego(name, err, found)
		module = nil
	}
	modules[name] = module
}

// compile compiles modules against the data, strictly. It returns nil where a module did not parse, since every use of
// what that one defines would be a problem of its own.
func compile(modules map[string]*ast.Module, store storage.Store, found *problems) *ast.Compiler {
	for _, m := range modules {
		if m == nil {
			return nil
		}
	}
	schema, err := inputSchema()
	if err != nil {
		found.add("", 0, "the schema of the input: %s", err)
		return nil
	}
	ctx := context.Background()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		found.add("", 0, "read the data: %s", err)
		return nil
	}
	defer store.Abort(ctx, txn)

	compiler := ast.NewCompiler().
		SetErrorLimit(0).
		WithStrict(true).
		WithCapabilities(capabilities()).
		WithSchemas(schema).
		// A schema in a module's annotations would take the place of ours.
		WithUseTypeCheckAnnotations(false).
		WithPathConflictsCheck(storage.NonEmpty(ctx, store, txn))
	before := len(*found)
	compiler.Compile(modules)
	if compiler.Failed() {
		addRego("", compiler.Errors, found)
	}
	if len(*found) == before && len(compiler.GetRulesExact(ast.MustParseRef(entryPoint))) == 0 &&
		len(compiler.GetRulesWithPrefix(ast.MustParseRef(entryPoint))) == 0 {
		found.add("", 0, "there is no rule %s", entryPoint)
	}
	return compiler
}

// inputSchema is this program's, whatever the bundle holds: it is this program that makes the input.
func inputSchema() (*ast.SchemaSet, error) {
	content, err := fs.ReadFile(Default(), schemaFile)
	if err != nil {
		return nil, err
	}
	var schema any
	if err := util.UnmarshalJSON(content, &schema); err != nil {
		return nil, err
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	return set, nil
}

// withheld names built-ins that are not for us.
func withheld(b *ast.Builtin) bool {
	if b.Name == "net.cidr_expand" { // of a /8, it fills the memory
		return true
	}
	// Network, clock, chance, process: http.send, net.lookup_ip_addr, time.now_ns, rand.intn, opa.runtime and others.
	return b.Nondeterministic || readsClock(b)
}

// readsClock names built-ins that OPA takes for pure, and that go by the clock unless they are told another time.
func readsClock(b *ast.Builtin) bool {
	switch b.Name {
	case "crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options", "io.jwt.decode_verify":
		return true
	}
	return false
}

// capabilities are what a policy can use. It is made anew on each use, as the compiler keeps it.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	kept := make([]*ast.Builtin, 0, len(c.Builtins))
	for _, b := range c.Builtins {
		if !withheld(b) {
			kept = append(kept, b)
		}
	}
	c.Builtins = kept
	c.AllowNet = []string{} // no schema is fetched
	return c
}

// addRego tells the problems that OPA's parser or compiler found.
func addRego(name string, err error, found *problems) {
	var errs ast.Errors
	switch err := err.(type) {
	case ast.Errors:
		errs = err
	case *ast.Error:
		errs = ast.Errors{err}
	default:
		found.add(name, 0, "%s", err)
	}
	for _, e := range errs {
		file, line := name, 0
		if e.Location != nil {
			file, line = e.Location.File, e.Location.Row
		}
		found.add(file, line, "%s", regoText(e))
	}
}

// regoText is a message of OPA's on one line, with our hint where one helps.
func regoText(e *ast.Error) string {
	text := e.Message
	if called, ok := strings.CutPrefix(text, "undefined function "); ok {
		for _, b := range ast.CapabilitiesForThisVersion().Builtins {
			if b.Name == called && withheld(b) {
				return called + " is not available to a policy: a decision follows from its input and data alone"
			}
		}
	}
	switch detail := e.Details.(type) {
	case *ast.RefErrInvalidDetail:
		if len(detail.OneOf) > 0 && detail.Ref.HasPrefix(ast.InputRootRef) {
			return fmt.Sprintf("%s: the input has no such field; there is %s", text, fields(detail.OneOf))
		}
	case *ast.UnificationErrDetail, *ast.ArgErrDetail:
		for _, line := range detail.(ast.ErrorDetails).Lines() {
			text += "; " + strings.ReplaceAll(strings.Join(strings.Fields(line), " "), " :", ":")
		}
	}
	return text
}

func fields(values []ast.Value) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = strings.Trim(v.String(), `"`)
	}
	return strings.Join(names, ", ")
}
