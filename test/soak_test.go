package test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSoak serves while the EHR dies, stalls and talks nonsense, the issuer is gone, the log's disk is slow, the
// configuration changes, keys rotate, and a crowd comes that there is no memory for; in the end each of these was felt,
// every body has its record, the process kept to its memory, and nothing has leaked.
func TestSoak(t *testing.T) {
	bench := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", bench, module+"/test/bench").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	soak := exec.CommandContext(t.Context(), bench, "soak", "--for", "24s", "--rate", "60", "--json")
	var errs bytes.Buffer
	soak.Stderr = &errs
	out, err := soak.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	phases := map[string]int{}
	var end struct {
		Bodies, Patients, Records int
		Peak                      float64 `json:"peak_mb"`
		Ceiling                   float64 `json:"ceiling_mb"`
	}
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
	for _, fault := range []string{"ehr-dead", "ehr-slow", "ehr-garbage", "issuer-down", "disk-slow", "reloads", "key-rotation", "crowd"} {
		if _, played := phases[fault]; !played || phases["after "+fault] == 0 {
			t.Errorf("%s: %v", fault, phases)
		}
	}
	if end.Bodies < 100 || end.Patients < 100 || end.Records < end.Bodies/2 || end.Peak <= 0 || end.Peak > end.Ceiling {
		t.Errorf("%+v", end)
	}
}
