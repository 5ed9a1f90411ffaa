package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAccessLog runs the command with next to no time.
func TestAccessLog(t *testing.T) {
	dir := t.TempDir()
	if _, err := realDisk(dir); err != nil {
		dir = "." // the other one is in memory
	}
	var out bytes.Buffer
	r := logRun{dir: dir, engines: logEngines, callers: []int{1, 32}, round: 20 * time.Millisecond, rounds: 2, records: 3000, json: true, out: &out, tell: io.Discard}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	type key struct {
		name, engine string
		callers      int
	}
	seen := map[key]logMeasurement{}
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	for dec.More() {
		var m logMeasurement
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.PerSecond <= 0 || m.Count <= 0 {
			t.Errorf("measurement %+v", m)
		}
		seen[key{m.Case, m.Engine, m.Callers}] = m
	}
	for _, engine := range logEngines {
		for _, callers := range r.callers {
			m := seen[key{"append", engine, callers}]
			if m.P50 <= 0 || m.P99 < m.P50 || m.Bytes < 500 || m.Bytes > 1024 {
				t.Errorf("append, %s, %d callers: %+v", engine, callers, m)
			}
		}
	}
	if m := seen[key{"verify", "accesslog", 1}]; m.Records != 3000 || m.Bytes < 500 || m.Bytes > 1024 {
		t.Errorf("verify: %+v", m)
	}
	for _, name := range []string{"index", "who-saw", "who-saw-unindexed"} {
		if m := seen[key{name, "accesslog", 1}]; m.Records != 3000 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if strings.HasPrefix(f.Name(), "halfdoor-bench-") {
			t.Errorf("%s was left behind", f.Name())
		}
	}
}

// A figure from a file system in memory says nothing, so there is none.
func TestMemoryIsNoDisk(t *testing.T) {
	var s unix.Statfs_t
	if err := unix.Statfs(".", &s); err != nil {
		t.Fatal(err)
	}
	if kind := int64(uint32(s.Type)); inMemory[kind] == "" { // this one counts as such for now
		inMemory[kind] = "memory"
		defer delete(inMemory, kind)
	}
	r := logRun{dir: ".", engines: logEngines, callers: []int{1}, round: time.Millisecond, rounds: 1, out: io.Discard, tell: io.Discard}
	err := r.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "in memory") || !strings.Contains(err.Error(), "--dir") {
		t.Fatalf("%v", err)
	}
}

func TestAccessLogIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := logRun{dir: ".", engines: []string{"accesslog"}, callers: []int{1}, round: time.Hour, rounds: 1, out: io.Discard, tell: io.Discard}
	if err := r.run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}
