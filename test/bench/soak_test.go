package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestAccount holds answers to a log that has some of them: what is missing is found, and nothing else.
func TestAccount(t *testing.T) {
	signer, verifier, err := accesslog.GenerateKey("soak.halfdoor.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	log, err := accesslog.Open(accesslog.Options{Dir: dir, SigningKey: []byte(signer), PatientKey: []byte(strings.Repeat("k", 32)), SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*accesslog.Record{
		{Kind: accesslog.KindAccess, RequestID: "whole", Status: 200, Subjects: []string{"Patient/ta"}},
		{Kind: accesslog.KindAccess, RequestID: "parts", Status: 200, More: true, Subjects: []string{"Patient/ta"}},
		{Kind: accesslog.KindClose, RequestID: "parts", Status: 200, Subjects: []string{"Patient/tb"}},
		{Kind: accesslog.KindAccess, RequestID: "batch#1", Status: 200, Subjects: []string{"Patient/tb"}},
		{Kind: accesslog.KindAccess, RequestID: "batch", Status: 200},
		{Kind: accesslog.KindRefusal, RequestID: "other-status", Status: 502},
		{Kind: accesslog.KindAccess, RequestID: "entry-only#1", Status: 200},
		{Kind: accesslog.KindRefusal, Status: 401, Code: "token-invalid", Count: 1},
	} {
		if _, err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	named := func(tokens ...string) map[string]bool {
		m := map[string]bool{}
		for _, t := range tokens {
			m[t] = true
		}
		return m
	}
	good := map[string]*received{
		"whole": {status: 200, bytes: 9, patients: named("ta")}, "parts": {status: 200, bytes: 9, patients: named("ta", "tb")},
		"batch": {status: 200, bytes: 9, patients: named("tb")}, "no-answer": {patients: named()},
	}
	for name, c := range map[string]struct {
		more map[string]*received
		want string
	}{
		"all":                       {nil, ""},
		"no record":                 {map[string]*received{"lost": {status: 200, bytes: 9}}, "lost was answered 200"},
		"another status":            {map[string]*received{"other-status": {status: 200, bytes: 9}}, "other-status was answered 200"},
		"one of a sum":              {map[string]*received{"flood-1": {status: 401, bytes: 9}}, ""},
		"more than a sum":           {map[string]*received{"flood-1": {status: 401, bytes: 9}, "flood-2": {status: 401, bytes: 9}}, "was answered 401"},
		"another's sum":             {map[string]*received{"flood-1": {status: 503, bytes: 9}}, "flood-1 was answered 503"},
		"a record of an entry only": {map[string]*received{"entry-only": {status: 200, bytes: 9}}, "entry-only was answered 200"},
		"a patient that is unnamed": {map[string]*received{"whole": {status: 200, bytes: 9, patients: named("ta", "tz")}}, "whole named 1 patients"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{cfg: &gateway.Initialised{LogDir: dir, Verifier: verifier}, seen: map[string]*received{}}
			for id, got := range good {
				of := map[string]bool{}
				for token := range got.patients {
					of[token] = true
				}
				s.seen[id] = &received{status: got.status, bytes: got.bytes, patients: of}
			}
			for id, got := range c.more {
				s.seen[id] = got
			}
			var end soakEnd
			found, err := s.account(t.Context(), &end)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(found, "\n"); (c.want == "") != (all == "") || !strings.Contains(all, c.want) {
				t.Errorf("found %q, want %q", all, c.want)
			}
			if end.Records != 8 || end.Bodies < 3 {
				t.Errorf("%+v", end)
			}
		})
	}
}

func TestGrown(t *testing.T) {
	base := state{Goroutines: 40, Descriptors: 30, HeapMB: 10, ResidentMB: 80}
	for want, after := range map[string]state{
		"":            {Goroutines: 44, Descriptors: 32, HeapMB: 12, ResidentMB: 100},
		"goroutines":  {Goroutines: 60, Descriptors: 30, HeapMB: 10, ResidentMB: 80},
		"descriptors": {Goroutines: 40, Descriptors: 50, HeapMB: 10, ResidentMB: 80},
		"of heap":     {Goroutines: 40, Descriptors: 30, HeapMB: 40, ResidentMB: 80},
		"resident":    {Goroutines: 40, Descriptors: 30, HeapMB: 10, ResidentMB: 300},
	} {
		if found := strings.Join(grown(base, after), "; "); (want == "") != (found == "") || !strings.Contains(found, want) {
			t.Errorf("%+v: %q, want %q", after, found, want)
		}
	}
}

// TestShows: a fault that clients have not felt is told.
func TestShows(t *testing.T) {
	quiet := &phase{Calls: 10, Served: 10, P50: 1, Answers: map[string]int{"200": 10}}
	for _, f := range faults {
		if err := f.shows(quiet); (err == nil) != (f.name == "reloads" || f.name == "key-rotation") { // of which nobody is to feel anything
			t.Errorf("%s: %v", f.name, err)
		}
		if err := f.shows(&phase{Calls: 10, P50: 200, Served: 2, Answers: map[string]int{"502": 4, "503": 4, "slow: 503": 4, "200": 2}}); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	if served(&phase{}) == nil {
		t.Error("nothing was served, and nobody says so")
	}
}
