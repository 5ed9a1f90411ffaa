package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/halfdoor/halfdoor/gateway/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"halfdoor": func() { os.Exit(cli.Main()) }})
}

// TestScripts runs the command as a user does: testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}
