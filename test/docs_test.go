package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestREADME runs every command of the README against a running demo.
func TestREADME(t *testing.T) {
	bin := build(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	env := startDemo(t, bin).environ()
	env = append(env, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"))
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir() // what "halfdoor init --dir ./example" makes
	ran := 0
	for _, block := range shellBlock.FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(block[1])) {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || line[0] == '#':
				continue
			case line == "go run . demo": // the demo that is running, by its binary
				continue
			case line == "./test/run": // what runs this test
				if _, err := os.Stat(filepath.Join(root, "test", "run")); err != nil {
					t.Error(err)
				}
				continue
			}
			ran++
			cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
			cmd.Dir, cmd.Env = work, env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			if bytes.Contains(out, []byte("OperationOutcome")) {
				t.Errorf("%s was refused:\n%s", line, out)
			}
		}
	}
	if ran < 8 {
		t.Errorf("only %d commands were found", ran)
	}
}

// TestDemoOfAnotherEHR puts a second demo in front of the first one's EHR, and of one that
// is not there.
func TestDemoOfAnotherEHR(t *testing.T) {
	bin := build(t)
	first := startDemo(t, bin)
	ehr := first.env["HALFDOOR_EHR_URL"]
	env := startDemo(t, bin, "--ehr", ehr+"/").environ()
	if !slices.Contains(env, "HALFDOOR_EHR_URL="+ehr) {
		t.Errorf("the environment does not name %s", ehr)
	}
	answers := func(env []string, status string) {
		t.Helper()
		cmd := exec.Command("bash", "-c", `curl -sS -o /dev/null -w '%{http_code}' --cacert "$HALFDOOR_CA_FILE" -H "Authorization: Bearer $HALFDOOR_TOKEN_BILLING" "$HALFDOOR_FHIR_URL/Coverage?_count=1"`)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != status {
			t.Errorf("want %s: %v %s", status, err, out)
		}
	}
	answers(env, "200")
	answers(startDemo(t, bin, "--ehr", "http://127.0.0.1:1/fhir").environ(), "502")
	if out, err := exec.Command(bin, "demo", "--listen", "127.0.0.1:0", "--ehr", "nowhere").CombinedOutput(); err == nil || !strings.Contains(string(out), "is not an http or https URL") {
		t.Errorf("--ehr nowhere: %v\n%s", err, out)
	}
}
