package delivery_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/policies/delivery"
)

// collector is a bundle server that OPA's plugins report to as well.
type collector struct {
	*server
	mu     sync.Mutex
	posted map[string][]string // bodies by path
}

func newCollector(t *testing.T) *collector {
	c := &collector{server: newServer(t), posted: map[string][]string{}}
	files := c.server.Config.Handler
	c.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			files.ServeHTTP(w, r)
			return
		}
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.posted[r.URL.Path] = append(c.posted[r.URL.Path], string(text))
	})
	return c
}

// has tells whether a body that was posted to a path has a text.
func (c *collector) has(path, text string) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return strings.Contains(strings.Join(c.posted[path], "\n"), text)
	}
}

// TestReports has OPA's plugins tell the server what is live, what failed, and what was decided, masked by the bundle.
func TestReports(t *testing.T) {
	c := newCollector(t)
	signer, key := keyPair(t, "board")
	tree := rules("one")
	tree["mask.rego"] = rules("one")["halfdoor/decision.rego"]
	masked := *tree["mask.rego"]
	masked.Data = []byte("package system.log\n\nmask contains \"/input/caller/subject\" if input.result.allow\n\ndrop if input.input.caller.client == \"noisy\"\n")
	tree["mask.rego"] = &masked
	c.put("/policy.tar.gz", pack(t, tree, delivery.Build{Revision: "r1", Key: &signer}))
	f := follow(t, delivery.Options{
		Service: delivery.Service{URL: c.URL}, Resource: "policy.tar.gz", Persist: filepath.Join(t.TempDir(), "kept"),
		Signing: delivery.Signing{Keys: []delivery.Key{key}}, Status: true, DecisionLogs: delivery.DecisionLogs{Service: true},
	}, func(word string) error {
		if word == "bad" {
			return errors.New("the gate says no")
		}
		return nil
	})
	f.until("the bundle", func() bool { return len(f.words()) == 1 })
	f.until("its status", c.has("/status", `"active_revision":"r1"`))
	if !f.d.Logs() {
		t.Fatal("decisions are not logged")
	}
	for _, d := range []struct{ client, subject string }{{"desk", "agent-1"}, {"noisy", "agent-2"}} {
		check(t, f.d.Log(t.Context(), delivery.Decision{
			ID: "call-of-" + d.client, Path: "halfdoor/decision", Revision: "r1+abc", Time: time.Unix(1_900_000_000, 0),
			Input:  map[string]any{"caller": map[string]any{"subject": d.subject, "client": d.client}},
			Result: map[string]any{"allow": true},
		}))
	}
	c.put("/policy.tar.gz", pack(t, rules("bad"), delivery.Build{Revision: "r2", Key: &signer}))
	f.until("the status of the failure", c.has("/status", "the gate says no"))
	if c.has("/status", `"active_revision":"r2"`)() {
		t.Error("a bundle that was refused is reported as active")
	}
	f.stop() // sends what was logged
	c.mu.Lock()
	defer c.mu.Unlock()
	var events []map[string]any
	check(t, json.Unmarshal([]byte(strings.Join(c.posted["/logs"], "")), &events))
	if len(events) != 1 || events[0]["decision_id"] != "call-of-desk" || events[0]["path"] != "halfdoor/decision" {
		t.Fatalf("%v", events)
	}
	text, err := json.Marshal(events[0])
	check(t, err)
	if strings.Contains(string(text), "agent-1") || !strings.Contains(string(text), `"erased":["/input/caller/subject"]`) || !strings.Contains(string(text), `"revision":"r1+abc"`) {
		t.Errorf("%s", text)
	}
}
