package policies

import "github.com/open-policy-agent/opa/v1/ast"

// Document is the input as a policy sees it, in maps and lists.
func (in *Input) Document() (any, error) { return ast.JSON(in.value()) }

// logPackage is that of the rules by which OPA's decision log masks and drops what it is given. They are in a bundle for
// OPA's plugin, and are told of decisions, not of calls; they are no part of the policy.
var logPackage = ast.MustParseRef("data.system.log")
