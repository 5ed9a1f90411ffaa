package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestProbe grades a demo that runs elsewhere, and then its EHR without the gateway.
func TestProbe(t *testing.T) {
	bin := build(t)
	d := startDemo(t, bin)
	run := func(status int, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(bin, append([]string{"probe", "--json", "--only", "leak/*"}, args...)...)
		cmd.Env = d.environ()
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		if got := 0; errors.As(err, &exit) {
			got = exit.ExitCode()
			if got != status {
				t.Fatalf("exit status %d, want %d: %s", got, status, errs.String())
			}
		} else if err != nil || status != 0 {
			t.Fatalf("exit status 0, want %d: %v", status, err)
		}
		return out.Bytes()
	}
	ehr := d.env["HALFDOOR_EHR_URL"]
	gateway := []string{"--url", d.env["HALFDOOR_FHIR_URL"], "--ca", d.env["HALFDOOR_CA_FILE"], "--token", "env:HALFDOOR_TOKEN_SCHEDULING", "--other-token", "env:HALFDOOR_TOKEN_BILLING", "--ehr", ehr, "--dataset", "scheduling"}
	failed := map[string]string{}
	read := func(out []byte) {
		clear(failed)
		for line := range bytes.Lines(out) {
			var r struct {
				Name     string
				OK       *bool
				Evidence string
			}
			if err := json.Unmarshal(line, &r); err != nil || r.Name == "" {
				t.Fatalf("%s: %v", line, err)
			}
			if r.OK != nil && !*r.OK {
				failed[r.Name] = r.Evidence
			}
		}
	}
	read(run(0, gateway...))
	for name, evidence := range failed {
		t.Errorf("%s: %s", name, evidence)
	}
	read(run(1, "--url", ehr, "--token", "any", "--ehr", ehr))
	for _, name := range []string{"leak/include", "leak/revinclude", "leak/has", "leak/chain", "leak/everything", "leak/batch", "leak/history", "leak/no-token", "leak/diagnostics", "leak/text"} {
		if _, ok := failed[name]; ok == (name == "leak/text") { // the sandbox does not know _text
			t.Errorf("%s failed: %v", name, ok)
		}
	}
	if !strings.HasPrefix(failed["leak/narrative"], "canary hdc") {
		t.Errorf("the evidence is %q", failed["leak/narrative"])
	}
	run(2, "--url", strings.Replace(ehr, "/fhir", "/nowhere", 1), "--token", "any")
	run(2, append(gateway, "--ca", "nowhere.pem")...)
	run(2, gateway[0], gateway[1], gateway[2], gateway[3], "--token", "nonsense")
}
