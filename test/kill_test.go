package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

var patientToken = regexp.MustCompile(`Patient/(t[0-9A-Za-z]+)`)

// TestKilledUnderLoad kills the gateway with SIGKILL in the middle of a load, several times:
// every body of which a client received one byte has its record, and every patient in those
// bytes is named in it.
func TestKilledUnderLoad(t *testing.T) {
	bin := build(t)
	for round := range 3 {
		dir := t.TempDir()
		d := startDemo(t, bin, "--dir", dir)
		bodies := d.load(t)
		bodies.reach(t, 40+60*round)
		d.kill(t)
		<-bodies.done

		records := map[string][]*accesslog.Record{}
		for r, err := range accesslog.Read(d.env["HALFDOOR_LOG_DIR"], accesslog.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			records[r.RequestID] = append(records[r.RequestID], r)
		}
		seen, patients := 0, 0
		for id, body := range bodies.received {
			if len(body) == 0 {
				continue
			}
			seen++
			if len(records[id]) == 0 {
				t.Errorf("round %d: %d bytes were received and there is no record of %s", round, len(body), id)
				continue
			}
			named := map[string]bool{}
			for _, r := range records[id] {
				for _, s := range r.Subjects {
					named[s] = true
				}
			}
			for _, at := range patientToken.FindAllStringIndex(body, -1) {
				// The last bytes may be a token that the kill went through.
				if patients++; at[1] < len(body) && !named[body[at[0]:at[1]]] {
					t.Errorf("round %d: %s was received and no record of %s names it", round, body[at[0]:at[1]], id)
				}
			}
		}
		if seen == 0 || patients == 0 {
			t.Fatalf("round %d: %d bodies with %d patients: nothing was tested", round, seen, patients)
		}
		if _, err := accesslog.Verify(context.Background(), accesslog.VerifyOptions{Dir: d.env["HALFDOOR_LOG_DIR"], Key: d.env["HALFDOOR_LOG_KEY"]}); err != nil {
			t.Errorf("round %d: after the kill: %v", round, err)
		}
	}
}

type received struct {
	mu       sync.Mutex
	received map[string]string // request id -> bytes
	answers  chan struct{}     // one for each body that ended
	done     chan struct{}     // the clients are
}

// reach waits for so many answers more.
func (r *received) reach(t *testing.T, answers int) {
	t.Helper()
	late := time.After(time.Minute)
	for range answers {
		select {
		case <-r.answers:
		case <-r.done:
			t.Fatal("the gateway was gone before it was killed")
		case <-late:
			t.Fatal("too few answers")
		}
	}
}

// load calls the gateway from four clients at once, until the gateway is gone.
func (d *running) load(t *testing.T) *received {
	t.Helper()
	client := d.client(t)
	got := &received{received: map[string]string{}, answers: make(chan struct{}, 1<<16), done: make(chan struct{})}
	var clients sync.WaitGroup
	paths := []string{"/Appointment?_count=5", "/Appointment?_count=1000", "/Encounter?_count=50", "/Task?_count=20"}
	for c := range 4 {
		clients.Go(func() {
			for i := range 1 << 14 {
				id := fmt.Sprintf("load-%d-%d", c, i)
				req, err := http.NewRequest("GET", d.env["HALFDOOR_FHIR_URL"]+paths[(c+i)%len(paths)], nil)
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "Bearer "+d.env["HALFDOOR_TOKEN_SCHEDULING"])
				req.Header.Set("X-Request-Id", id)
				resp, err := client.Do(req)
				if err != nil {
					return // the gateway is gone
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				got.mu.Lock()
				got.received[id] = string(body)
				got.mu.Unlock()
				if err != nil {
					return
				}
				got.answers <- struct{}{}
			}
		})
	}
	go func() { clients.Wait(); close(got.done) }()
	return got
}

// TestTampering changes a log in every way that verify must find.
func TestTampering(t *testing.T) {
	bin := build(t)
	dir := t.TempDir()
	d := startDemo(t, bin, "--dir", dir)
	bodies := d.load(t)
	bodies.reach(t, 20)
	kept, err := os.ReadFile(d.env["HALFDOOR_LOG_DIR"] + "/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	bodies.reach(t, 60)
	d.kill(t)
	<-bodies.done
	if err := os.WriteFile(dir+"/kept", kept, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(lines []string) []string
		where  string
	}{
		{"one byte", func(l []string) []string { l[3] = strings.Replace(l[3], `"status":2`, `"status":4`, 1); return l }, "line 4"},
		{"a line removed", func(l []string) []string { return slices.Delete(l, 5, 6) }, "line 6"},
		{"two lines swapped", func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }, "line 3"},
		{"the tail cut", func(l []string) []string { return l[:8] }, "checkpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(d.env["HALFDOOR_LOG_DIR"])); err != nil {
				t.Fatal(err)
			}
			name, lines := segment(t, copied)
			if err := os.WriteFile(filepath.Join(copied, name), []byte(strings.Join(c.change(lines), "")), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := verify(bin, copied, d)
			if err == nil || !strings.Contains(out, c.where) {
				t.Errorf("verify: %v\n%s\nwant it to name %s", err, out, c.where)
			}
		})
	}
	// Log and checkpoint cut together: only a checkpoint kept elsewhere finds it.
	cut := t.TempDir()
	signed, err := strconv.Atoi(strings.Split(string(kept), "\n")[1])
	if err != nil {
		t.Fatal(err)
	}
	name, lines := segment(t, d.env["HALFDOOR_LOG_DIR"])
	if signed == 0 || signed >= len(lines)-1 {
		t.Fatalf("%d of %d lines are signed by the older checkpoint", signed, len(lines))
	}
	for file, content := range map[string]string{name: strings.Join(lines[:signed], ""), "checkpoint": string(kept)} {
		if err := os.WriteFile(filepath.Join(cut, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := verify(bin, cut, d); err != nil || !strings.Contains(out, "note:") {
		t.Errorf("a log cut with its checkpoint, nothing kept: %v\n%s", err, out)
	}
	if out, err := verify(bin, cut, d, "--checkpoint", filepath.Join(d.env["HALFDOOR_LOG_DIR"], "checkpoint")); err == nil || !strings.Contains(out, "checkpoint") {
		t.Errorf("a log cut with its checkpoint, a later one kept: %v\n%s", err, out)
	}
	if out, err := verify(bin, d.env["HALFDOOR_LOG_DIR"], d, "--checkpoint", filepath.Join(dir, "kept")); err != nil || !strings.Contains(out, "kept checkpoint") {
		t.Errorf("the whole log with the kept checkpoint: %v\n%s", err, out)
	}
}

func verify(bin, dir string, d *running, args ...string) (string, error) {
	out, err := exec.Command(bin, append([]string{"audit", "verify", "--quiet", "--log", dir, "--key", d.env["HALFDOOR_LOG_KEY"]}, args...)...).CombinedOutput()
	return string(out), err
}

// segment is the name and the lines of a log's one segment.
func segment(t *testing.T, dir string) (string, []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments %v, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(names[0]), strings.SplitAfter(strings.TrimRight(string(text), "\x00"), "\n")
}
