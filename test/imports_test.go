// Package test holds what is tested of the whole system rather than of one package.
package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/halfdoor/halfdoor"

// mayImport is the direction of imports: each package's own imports within the module, and
// nothing else. ARCHITECTURE.md says why.
var mayImport = map[string][]string{
	"":                      {"gateway/cli"},
	"gateway/cli":           {"certs", "configs", "gateway", "gateway/accesslog", "gateway/accesslog/balp", "gateway/accesslog/index", "gateway/accesslog/postgres", "gateway/demo", "gateway/probe", "gateway/reviews", "gateway/vault", "policies", "policies/delivery", "transforms"},
	"gateway/demo":          {"certs", "configs", "gateway"},
	"gateway":               {"certs", "configs", "policies", "policies/delivery", "transforms", "gateway/accesslog", "gateway/accesslog/balp", "gateway/accesslog/postgres", "gateway/accesslog/sinks", "gateway/accesslog/witness", "gateway/admin", "gateway/auth", "gateway/fhir", "gateway/reviews", "gateway/smart", "gateway/state", "gateway/upstream", "gateway/vault"},
	"gateway/auth":          {"gateway/fhir", "gateway/smart"},
	"gateway/smart":         {"gateway/fhir"},
	"policies":              {"transforms"},
	"policies/delivery":     {},
	"gateway/fhir":          {},
	"gateway/fhir/generate": {"gateway/fhir"},
	"gateway/state":         {},
	"gateway/upstream":      {},
	"gateway/vault":         {},
	"gateway/accesslog":     {},
	"gateway/admin":         {},
	"gateway/probe":         {"gateway/fhir", "transforms"},
	"transforms":            {},
	"transforms/reference":  {"transforms"}, // what tests compare with: no package imports it
	"certs":                 {},
	"configs":               {},
	"test":                  {},
	"test/bench":            {"certs", "configs", "gateway", "gateway/accesslog", "gateway/accesslog/index", "gateway/demo", "gateway/vault", "test/bench/cases", "transforms"},
	"test/bench/cases":      {"gateway/fhir", "gateway/vault", "transforms"},

	"gateway/accesslog/balp":     {"gateway/accesslog"},
	"gateway/accesslog/index":    {"gateway/accesslog"},
	"gateway/accesslog/postgres": {"gateway/accesslog", "gateway/accesslog/sinks"},
	"gateway/accesslog/sinks":    {"gateway/accesslog", "gateway/accesslog/balp"},
	"gateway/reviews":            {"gateway/accesslog"},
	"gateway/accesslog/witness":  {"gateway/accesslog"},
}

// pure packages reach no network, file system or clock of their own.
var pure = []string{"gateway/fhir", "gateway/smart", "transforms"}

var impure = []string{"net", "net/http", "os", "os/exec", "syscall", "time", "log", "log/slog"}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("%s has no place in the direction of imports: give it one here and in ARCHITECTURE.md", pkg)
			continue
		}
		seen++
		for _, imported := range fields[1:] {
			if slices.Contains(pure, pkg) && slices.Contains(impure, imported) {
				t.Errorf("%s is pure and imports %s", pkg, imported)
			}
			own, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(allowed, own) {
				t.Errorf("%s must not import %s", pkg, own)
			}
		}
	}
	if seen < len(mayImport)-2 {
		t.Errorf("only %d packages were seen", seen)
	}
}
