package cli_test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPolicy runs the commands on policies as a security team does.
func TestPolicy(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/policy", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"records": records}})
}
