package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test's binary be an engine, as the command is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestGateway runs every engine on the smallest case, and one over HTTP/2: each answers, and each line has its figures.
func TestGateway(t *testing.T) {
	var out, progress bytes.Buffer
	r := gatewayRun{
		cases: []string{"2k", "2k-h2", "2k-plain"}, engines: gatewayEngines, slice: 10 * time.Millisecond, rounds: 1,
		json: true, root: "../..", out: &out, progress: &progress,
	}
	if err := r.gateway(); err != nil {
		t.Fatal(err)
	}
	lengths := map[string]int64{}
	seen := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var m gatewayMeasurement
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.RPS <= 0 || m.CPU <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.RSS <= 0 || m.Cores <= 0 || m.Ratio <= 0 || m.RoundsDone != 1 {
			t.Errorf("a figure is missing: %s", line)
		}
		seen[m.Case]++
		if m.Case == "2k" {
			lengths[m.Engine] = m.BytesOut
		}
	}
	engines, _ := installed(gatewayEngines)
	if seen["2k"] != len(engines) || seen["2k-h2"] < 3 || seen["2k-plain"] < 3 {
		t.Errorf("%v lines of %d engines", seen, len(engines))
	}
	// What the engines do shows in what comes: only without the filter is it all.
	whole := lengths["direct"]
	for name, n := range lengths {
		if all := !strings.HasPrefix(name, "halfdoor") || name == "halfdoor-without-filter"; all != (n == whole) {
			t.Errorf("%s answers with %d of %d bytes", name, n, whole)
		}
	}
	if lengths["halfdoor-without-tokens"] >= lengths["halfdoor"] {
		t.Errorf("%d bytes with tokens, %d without", lengths["halfdoor"], lengths["halfdoor-without-tokens"])
	}
}

// TestGatewayLine holds the line of a measurement to the names that others read.
func TestGatewayLine(t *testing.T) {
	line, err := json.Marshal(gatewayMeasurement{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"case":"","engine":"","rps":0,"cpu_us_per_request":0,"p50_ms":0,"p99_ms":0,"rss_mb":0,`; !strings.HasPrefix(string(line), want) {
		t.Errorf("%s does not begin with %s", line, want)
	}
}

func TestGatewayNames(t *testing.T) {
	for _, r := range []gatewayRun{
		{cases: []string{"x"}, engines: gatewayEngines},
		{cases: gatewayCaseNames(), engines: []string{"x"}},
	} {
		if err := r.gateway(); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("error %v", err)
		}
	}
	for _, name := range []string{"2k", "20k", "200k", "5m"} {
		if !slices.Contains(gatewayCaseNames(), name) {
			t.Errorf("no case %s", name)
		}
	}
	if err := known("case", quickCases, gatewayCaseNames()); err != nil {
		t.Error(err)
	}
	flags := gatewayCommand().Flags()
	for _, name := range []string{"quick", "json", "case", "engine", "slice", "rounds"} {
		if flags.Lookup(name) == nil {
			t.Errorf("no flag --%s", name)
		}
	}
}

// TestGatewayTable prints all that a reader of the table looks for.
func TestGatewayTable(t *testing.T) {
	var out bytes.Buffer
	r := gatewayRun{cases: []string{"2k", "2k-8"}, out: &out}
	r.print("generated", []string{"reverseproxy", "halfdoor"}, []gatewayMeasurement{
		{Case: "2k", Engine: "reverseproxy", CPU: 100, Ratio: 1}, {Case: "2k", Engine: "halfdoor", CPU: 250, Ratio: 2.5},
		{Case: "2k-8", Engine: "reverseproxy", P50: 1}, {Case: "2k-8", Engine: "halfdoor", P50: 1.75},
		{Case: "20k-1-core", Engine: "halfdoor", RPS: 90, Cores: 0.9}, {Case: "20k-2-cores", Engine: "halfdoor", RPS: 162, Cores: 1.8},
	}, []string{"nginx is not installed, and takes no part."})
	for _, want := range []string{"2k: 2.50 × reverseproxy; aim: at most 2.5", "2k-8: p50 0.75 ms more", "nginx is not installed", "processor time",
		"20k: 90 requests a second with 0.90 processors, 162 with 1.80; a second of a processor serves 100 and 90"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestProcessors has a process keep to those that a case counts, and others to the rest.
func TestProcessors(t *testing.T) {
	p, err := newProcessors()
	if err != nil {
		t.Fatal(err)
	}
	all := p.all.Count()
	for _, c := range []struct{ n, first, rest int }{{0, all, all}, {all, all, all}, {all + 1, all, all}} {
		if first, rest := p.split(c.n); first.Count() != c.first || rest.Count() != c.rest {
			t.Errorf("%d of %d: %d and %d", c.n, all, first.Count(), rest.Count())
		}
	}
	var made processors
	for cpu := range 4 {
		made.all.Set(2 * cpu)
	}
	if first, rest := made.split(1); first.Count() != 1 || !first.IsSet(0) || rest.Count() != 3 || rest.IsSet(0) {
		t.Errorf("%v and %v", first, rest)
	}
	cmd := exec.Command("sleep", "60")
	if err := p.start(cmd, 1); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	var has unix.CPUSet
	if err := unix.SchedGetaffinity(cmd.Process.Pid, &has); err != nil || has.Count() != 1 {
		t.Errorf("it has %d processors, %v", has.Count(), err)
	}
	if err := p.leave(0, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := unix.SchedGetaffinity(cmd.Process.Pid, &has); err != nil || has != p.all {
		t.Errorf("it has %d processors of %d, %v", has.Count(), all, err)
	}
}

func TestMedian(t *testing.T) {
	for want, of := range map[float64][]float64{2: {9, 1, 2}, 2.5: {1, 2, 3, 4}, 7: {7}} {
		if got := median(of); got != want {
			t.Errorf("median of %v is %v", of, got)
		}
	}
}
