package test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestREADME runs every command of the README against a running demo.
func TestREADME(t *testing.T) {
	bin := build(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	env := startDemo(t, bin)
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
	first := startKillable(t, bin, t.TempDir())
	ehr := first.env["HALFDOOR_EHR_URL"]
	env := startDemo(t, bin, "--ehr", ehr+"/")
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
	answers(startDemo(t, bin, "--ehr", "http://127.0.0.1:1/fhir"), "502")
	if out, err := exec.Command(bin, "demo", "--listen", "127.0.0.1:0", "--ehr", "nowhere").CombinedOutput(); err == nil || !strings.Contains(string(out), "is not an http or https URL") {
		t.Errorf("--ehr nowhere: %v\n%s", err, out)
	}
}

// build makes the command once for a test.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "halfdoor")
	if out, err := exec.Command("go", "build", "-o", bin, module).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// startDemo runs "halfdoor demo" until the test ends, and returns an environment that has
// what it wrote.
func startDemo(t *testing.T, bin string, args ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "demo.env")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, append([]string{"demo", "--listen", "127.0.0.1:0", "--env", file}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		if f, err := os.Open(file); err == nil {
			defer f.Close()
			env := os.Environ()
			for s := bufio.NewScanner(f); s.Scan(); {
				env = append(env, s.Text())
			}
			return env
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the demo ended: %v\n%s", err, out.String())
		case <-late:
			t.Fatal("the demo was not ready in time")
		case <-tick.C:
		}
	}
}
