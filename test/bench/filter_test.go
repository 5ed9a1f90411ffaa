package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/test/bench/cases"
)

// TestFilter runs the command with next to no time.
func TestFilter(t *testing.T) {
	var out, progress bytes.Buffer
	r := run{
		cases: []string{"compact-20k", "tokens", "hostile-escapes"}, engines: engineNames, root: "../..", json: true,
		round: time.Millisecond, rounds: 1, out: &out, progress: &progress,
	}
	if err := r.filter(); err != nil {
		t.Fatal(err)
	}
	seen := map[[2]string]bool{}
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	for dec.More() {
		var m measurement
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		seen[[2]string{m.Case, m.Engine}] = true
		if m.MBPerCPUS <= 0 || m.RatioToValid <= 0 || m.AllocsPerOp < 0 || m.Bytes == 0 || m.Rounds == 0 || m.Source == "" {
			t.Errorf("measurement %+v", m)
		}
	}
	for _, c := range r.cases {
		for _, engine := range engineNames {
			if !seen[[2]string{c, engine}] {
				t.Errorf("%s did not take part in %s", engine, c)
			}
		}
	}
}

// TestPeersAgree holds every peer to the filter's answer in every case, with the corpus where it is there and without.
func TestPeersAgree(t *testing.T) {
	for _, corpus := range []string{"", t.TempDir()} {
		if corpus != "" {
			t.Setenv("HALFDOOR_CORPUS", corpus)
		}
		set := cases.Open("../..")
		for _, name := range cases.Names() {
			if name == "compact-10m" { // compact-1.8m again and again
				continue
			}
			c, err := set.Case(name)
			if err != nil {
				t.Fatal(err)
			}
			if c.Hostile && corpus == "" { // the same without
				continue
			}
			all, err := entrants(c, engineNames)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if e.skipped != tooSlow[[2]string{e.name, name}] {
					t.Errorf("%s, %s: %s: %s", name, c.Source, e.name, e.skipped)
				}
			}
		}
	}
}

// TestLine holds the line of a measurement to the names that others read.
func TestLine(t *testing.T) {
	line, err := json.Marshal(measurement{Case: "c", Engine: "e", MBPerCPUS: 1, AllocsPerOp: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"case":"c","engine":"e","mb_per_cpu_s":1,"allocs_per_op":2,`; !strings.HasPrefix(string(line), want) {
		t.Errorf("%s does not begin with %s", line, want)
	}
}

func TestTable(t *testing.T) {
	var out, progress bytes.Buffer
	r := run{
		cases: []string{"compact-1.8m", "hostile-keys"}, engines: []string{"filter", "json.Valid", "gjson+sjson"}, root: "../..",
		round: time.Millisecond, rounds: 2, out: &out, progress: &progress,
	}
	if err := r.filter(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Documents: ", "× json.Valid on the same document", "compact-1.8m", "gjson+sjson does not take part in hostile-keys: quadratic", "× json.Valid on compact-1.8m"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if !strings.Contains(progress.String(), "compact-1.8m") {
		t.Errorf("no progress: %q", progress.String())
	}
}

func TestUnknownNames(t *testing.T) {
	for _, r := range []run{
		{cases: []string{"x"}, engines: engineNames},
		{cases: cases.Names(), engines: []string{"x"}},
	} {
		if err := r.filter(); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("error %v", err)
		}
	}
}

// TestFlags holds the command's flags to the ones that the README names.
func TestFlags(t *testing.T) {
	flags := filterCommand().Flags()
	for _, name := range []string{"quick", "json", "case", "engine", "round", "rounds"} {
		if flags.Lookup(name) == nil {
			t.Errorf("no flag --%s", name)
		}
	}
	if !slices.Equal(engineNames[:2], []string{"filter", "json.Valid"}) {
		t.Errorf("engines %v", engineNames)
	}
}
