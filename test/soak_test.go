package test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSoak serves with the real command while the EHR dies, stalls and talks nonsense, the issuer is gone, the disk is
// busy, the configuration changes and keys rotate; in the end every body has its record, and nothing has leaked.
func TestSoak(t *testing.T) {
	bench := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", bench, module+"/test/bench").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	soak := exec.CommandContext(t.Context(), bench, "soak", "--for", "20s", "--rate", "60", "--json", "--command", build(t))
	var errs bytes.Buffer
	soak.Stderr = &errs
	out, err := soak.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	phases := map[string]int{}
	var end struct{ Bodies, Patients, Records int }
	for line := range bytes.Lines(out) {
		var p struct {
			Phase  string
			Served int
		}
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		if p.Phase != "" {
			phases[p.Phase] += p.Served
		} else if err := json.Unmarshal(line, &end); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range []string{"ehr-dead", "ehr-slow", "ehr-garbage", "issuer-down", "disk-slow", "reloads", "key-rotation"} {
		if _, played := phases[fault]; !played || phases["after "+fault] == 0 {
			t.Errorf("%s: %v", fault, phases)
		}
	}
	if end.Bodies < 100 || end.Patients < 100 || end.Records < end.Bodies/2 {
		t.Errorf("%+v", end)
	}
}
