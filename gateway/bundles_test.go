package gateway_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// board is who signs bundles, and the server that has them: files with ETags, which holds an answer back while there is
// nothing new.
type board struct {
	*httptest.Server
	t      *testing.T
	signer delivery.SigningKey
	public string // PEM

	mu      sync.Mutex
	current []byte
	changed chan struct{}
}

func newBoard(t *testing.T) *board {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	b := &board{
		t: t, signer: delivery.SigningKey{ID: "board", Algorithm: "ES256", PEM: text("PRIVATE KEY", private)},
		public: text("PUBLIC KEY", public), changed: make(chan struct{}),
	}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	t.Cleanup(func() { b.publish(nil) })
	return b
}

// publish puts a bundle on the server; nil takes it away.
func (b *board) publish(content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = content
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for {
		b.mu.Lock()
		content, changed := b.current, b.changed
		b.mu.Unlock()
		if content == nil {
			http.Error(w, "nothing here", http.StatusServiceUnavailable)
			return
		}
		tag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(content)))
		if r.Header.Get("If-None-Match") != tag {
			w.Header().Set("ETag", tag)
			w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
			_, _ = w.Write(content)
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// bundle is the default bundle's data with other rules, signed.
func (b *board) bundle(revision string, rules map[string]string) []byte {
	b.t.Helper()
	tree := fstest.MapFS{}
	check(b.t, fs.WalkDir(policies.Default(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".rego") {
			return err
		}
		content, err := fs.ReadFile(policies.Default(), name)
		tree[name] = &fstest.MapFile{Data: content}
		return err
	}))
	for name, text := range rules {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	var out bytes.Buffer
	check(b.t, delivery.Write(&out, tree, delivery.Build{Revision: revision, Key: &b.signer}))
	return out.Bytes()
}

// saying is a bundle that allows everything, for a reason of its own.
func (b *board) saying(revision string) []byte {
	return b.bundle(revision, map[string]string{"halfdoor/decision.rego": strings.Replace(allowAll, "test-allowed", revision, 1)})
}

// config has a world's policies come from the board.
func (b *board) config() setting {
	return withConfig(func(y string) string {
		key := filepath.Join(b.t.TempDir(), "board.pem")
		check(b.t, os.WriteFile(key, []byte(b.public), 0o600))
		return y + "policy:\n  server: {url: " + b.URL + "}\n  resource: policy.tar.gz\n  persist: policy-kept\n" +
			"  polling: {min: 1s, max: 1s, long_polling_timeout: 1m}\n" +
			"  signing: {keys: [{id: board, file: " + key + "}]}\n"
	})
}

// TestBundlesUnderLoad changes the policy on the server while calls run: no call is refused, each is decided by one
// bundle, and once the records have the new revision no later call has the old. Bundles that must not go live do not.
func TestBundlesUnderLoad(t *testing.T) {
	b := newBoard(t)
	b.publish(b.saying("r-one"))
	w := newWorld(t, b.config())
	w.until("the first bundle", func() bool { status, _ := w.ask("GET", "/readyz", ""); return status == 200 })

	type done struct {
		begun, ended time.Time
		id           string
	}
	var mu sync.Mutex
	var calls []done
	var stop atomic.Bool
	var served atomic.Int64
	var callers sync.WaitGroup
	token := w.token("demo-access", demo.TokenOptions{})
	for n := range 4 {
		callers.Go(func() {
			for !stop.Load() {
				begun := time.Now()
				r := w.get(token, []string{"/Practitioner?_count=1", "/Organization", "/Practitioner", "/Location"}[n])
				if r.err != nil || r.status != 200 {
					t.Errorf("a call was refused: %d %v %s", r.status, r.err, r.body)
					return
				}
				served.Add(1)
				mu.Lock()
				calls = append(calls, done{begun, time.Now(), r.header.Get("X-Request-Id")})
				mu.Unlock()
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		want := served.Load() + n
		w.until("more calls", func() bool { return served.Load() >= want || t.Failed() })
	}
	live := func(revision string) func() bool {
		return func() bool { return strings.HasPrefix(w.status().Get("policy_revision").String(), revision+"+") }
	}
	more(20)
	b.publish(b.saying("r-two"))
	w.until("the second bundle", live("r-two"))
	more(20)
	failing := b.bundle("r-bad", map[string]string{
		"halfdoor/decision.rego":      strings.Replace(allowAll, "test-allowed", "r-bad", 1),
		"halfdoor/decision_test.rego": "package halfdoor_test\n\nimport data.halfdoor\n\ntest_refuses if not halfdoor.decision.allow\n",
	})
	for _, c := range []struct {
		name   string
		bundle []byte
		want   string
	}{
		{"failing tests", failing, "own test halfdoor_test.test_refuses fails"},
		{"a field that the input lacks", b.bundle("r-bad", map[string]string{"halfdoor/decision.rego": strings.Replace(allowAll, "decision :=", "decision := {} if input.calller\n\ndecision :=", 1)}), "calller"},
		{"a dataset with a path that is none", b.bundle("r-bad", map[string]string{
			"halfdoor/decision.rego":          allowAll,
			"halfdoor/datasets/own/data.yaml": "title: Own\nversion: 1\nresources:\n  Patient: {id: token, nonsense.path: keeep}\n",
		}), "dataset own"},
		{"unsigned", anyones(t), ".signatures.json"},
	} {
		b.publish(c.bundle)
		w.until(c.name, func() bool { return strings.Contains(w.status().Get("bundle_refused.problem").String(), c.want) })
		if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded") {
			t.Errorf("%s: readiness: %d %s", c.name, status, body)
		}
		if _, body := w.ask("GET", "/metrics", ""); !strings.Contains(body, "halfdoor_policy_current 0") {
			t.Errorf("%s: the metric does not tell", c.name)
		}
		if !live("r-two")() {
			t.Errorf("%s: %s is live", c.name, w.status().Get("policy_revision"))
		}
		more(4)
	}
	b.publish(b.saying("r-three"))
	w.until("the third bundle", live("r-three"))
	more(20)
	stop.Store(true)
	callers.Wait()
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || strings.Contains(body, "degraded") {
		t.Errorf("readiness: %d %s", status, body)
	}
	check(t, w.close())
	w.verify()

	revisions := map[string]string{}
	announced, latest := map[string]bool{}, ""
	for _, r := range w.records("") {
		if r.Kind == accesslog.KindAdmin {
			if r.Code == "bundle" {
				latest = strings.TrimPrefix(r.Detail, "policy ")
				announced[latest] = true
			}
			continue
		}
		stated, _, _ := strings.Cut(r.Policy.Revision, "+")
		if stated != r.Policy.Code {
			t.Errorf("a call of revision %s was decided by %s", r.Policy.Revision, r.Policy.Code)
		}
		if !announced[r.Policy.Revision] {
			t.Errorf("revision %s is recorded before it was live", r.Policy.Revision)
		}
		revisions[r.RequestID] = stated
	}
	if len(announced) != 3 || !strings.HasPrefix(latest, "r-three+") {
		t.Errorf("%d bundles went live, %v", len(announced), announced)
	}
	order := map[string]int{"r-one": 1, "r-two": 2, "r-three": 3}
	seen := map[string]int{}
	for _, early := range calls {
		seen[revisions[early.id]]++
		for _, late := range calls {
			if late.begun.After(early.ended) && order[revisions[late.id]] < order[revisions[early.id]] {
				t.Fatalf("a call under %s began after one under %s had ended", revisions[late.id], revisions[early.id])
			}
		}
	}
	if len(seen) != 3 || seen[""] != 0 {
		t.Errorf("calls by revision: %v", seen)
	}
}

// anyones is a bundle that anyone could have made.
func anyones(t *testing.T) []byte {
	var out bytes.Buffer
	check(t, delivery.Write(&out, policies.Default(), delivery.Build{}))
	return out.Bytes()
}

// TestBundleServerDown starts without a bundle, then with the last good one, then with one that somebody changed.
func TestBundleServerDown(t *testing.T) {
	b := newBoard(t)
	w := newWorld(t, b.config())
	token := w.token("demo-access", demo.TokenOptions{})
	if status, body := w.ask("GET", "/readyz", ""); status != 503 || !strings.Contains(body, "no policy bundle") {
		t.Errorf("readiness: %d %s", status, body)
	}
	r := w.get(token, "/Practitioner")
	if rec := w.record(r); r.status != 503 || r.code() != "policy-missing" || rec.Code != "policy-missing" || rec.Status != 503 {
		t.Errorf("%d %s; %+v", r.status, r.body, rec)
	}
	b.publish(b.saying("r-one"))
	w.until("the bundle", func() bool { return w.get(token, "/Practitioner").status == 200 })
	served := w.record(w.get(token, "/Practitioner")).Policy.Revision

	// A reload leaves the bundle as it is; where bundles come from cannot change.
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 || w.status().Get("policy_revision").String() != served {
		t.Errorf("reload: %d %s", status, body)
	}
	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "resource: policy.tar.gz", "resource: other.tar.gz", 1)
	})
	if status, body := w.ask("POST", "/reload", string(admin)); status != 422 || !strings.Contains(body, "policy.server, and what") {
		t.Errorf("reload: %d %s", status, body)
	}
	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "resource: other.tar.gz", "resource: policy.tar.gz", 1)
	})
	if r := w.get(token, "/Practitioner"); r.status != 200 || w.record(r).Policy.Revision != served {
		t.Errorf("after the reloads: %d %s", r.status, r.body)
	}
	check(t, w.close())

	b.publish(nil)
	again := func() error {
		t.Helper()
		cfg, err := configs.Load(w.made.Config)
		check(t, err)
		g, err := gateway.New(gateway.Options{Config: cfg})
		check(t, err)
		ready := g.Ready()
		check(t, g.Close())
		return ready
	}
	check(t, again())
	records := w.records("")
	if live := records[len(records)-2]; live.Code != "bundle" || live.Detail != "policy "+served {
		t.Errorf("from the disk: %+v, and not %s", live, served)
	}
	kept := filepath.Join(w.dir, "policy-kept", "bundles", "halfdoor", "bundle.tar.gz")
	check(t, os.WriteFile(kept, anyones(t), 0o600))
	if err := again(); err == nil || !strings.Contains(err.Error(), "no policy bundle") {
		t.Errorf("with a bundle that is not signed on the disk: %v", err)
	}
	w.verify()
}

// status is what an administrator sees.
func (w *world) status() gjson.Result {
	w.t.Helper()
	admin, err := os.ReadFile(w.made.Admin)
	check(w.t, err)
	_, body := w.ask("GET", "/status", string(admin))
	return gjson.Parse(body)
}

// TestTarball has the policies come from a file, as a security team's tools make it.
func TestTarball(t *testing.T) {
	b := newBoard(t)
	w := newWorld(t, withConfig(func(y string) string {
		dir := filepath.Join(b.t.TempDir())
		check(t, os.WriteFile(filepath.Join(dir, "board.pem"), []byte(b.public), 0o600))
		return y + "policy:\n  bundle: " + filepath.Join(dir, "policy.tar.gz") + "\n  signing: {keys: [{id: board, file: " + filepath.Join(dir, "board.pem") + "}]}\n"
	}), func(o *worldOptions) {
		config := o.config
		o.config = func(y string) string {
			y = config(y)
			_, rest, _ := strings.Cut(y, "bundle: ")
			path, _, _ := strings.Cut(rest, "\n")
			check(t, os.WriteFile(path, b.saying("r-one"), 0o600))
			return y
		}
	})
	token := w.token("demo-access", demo.TokenOptions{})
	if r := w.get(token, "/Practitioner"); r.status != 200 || w.record(r).Policy.Code != "r-one" {
		t.Errorf("%d %s", r.status, r.body)
	}
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	check(t, os.WriteFile(cfg.Policy.Bundle, anyones(t), 0o600))
	w.until("the refusal of an unsigned one", func() bool {
		return strings.Contains(w.status().Get("reload_refused.problem").String(), ".signatures.json")
	})
	if r := w.get(token, "/Practitioner"); r.status != 200 || w.record(r).Policy.Code != "r-one" {
		t.Errorf("%d %s", r.status, r.body)
	}
	check(t, os.WriteFile(cfg.Policy.Bundle, b.saying("r-two"), 0o600))
	w.until("the next", func() bool { return w.record(w.get(token, "/Practitioner")).Policy.Code == "r-two" })
}

// TestDecisionLog sends decisions to a collector: who asked for what and what was decided, no patient's id; the records
// are what they are without.
func TestDecisionLog(t *testing.T) {
	b := newBoard(t)
	b.publish(b.saying("r-one"))
	var mu sync.Mutex
	var posted []byte
	files := b.Config.Handler
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			files.ServeHTTP(w, r)
			return
		}
		unzipped, err := gzip.NewReader(r.Body)
		if err == nil {
			var text []byte
			text, err = io.ReadAll(unzipped)
			mu.Lock()
			posted = append(posted, text...)
			mu.Unlock()
		}
		if err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, b.config(), func(o *worldOptions) {
		config := o.config
		o.config = func(y string) string { return config(y) + "  decision_logs: {server: true}\n" }
	})
	w.until("the bundle", func() bool { status, _ := w.ask("GET", "/readyz", ""); return status == 200 })
	r := w.get(w.token("demo-app", demo.TokenOptions{}), "/Practitioner")
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	rec := w.record(r)
	check(t, w.close())
	mu.Lock()
	defer mu.Unlock()
	event := gjson.GetBytes(posted, `#(decision_id=="`+r.header.Get("X-Request-Id")+`")`)
	if event.Get("input.caller.client").String() != "demo-app" || event.Get("result.reason.code").String() != "r-one" ||
		event.Get("bundles.halfdoor.revision").String() != rec.Policy.Revision || event.Get("input.request.type").String() != "Practitioner" {
		t.Errorf("%s", posted)
	}
	if patient := w.sandbox.IDs("Patient")[appPatient]; bytes.Contains(posted, []byte(patient)) {
		t.Errorf("the patient is named: %s", posted)
	}
}

// TestCheckAsksBundleServer has "halfdoor check --online" look at what a gateway would get.
func TestCheckAsksBundleServer(t *testing.T) {
	b := newBoard(t)
	w := newWorld(t, b.config())
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	ask := func() gateway.Finding {
		t.Helper()
		for _, f := range gateway.Check(t.Context(), cfg, true, time.Now) {
			if f.Item == "policy, online" {
				return f
			}
		}
		t.Fatal("the server was not asked")
		return gateway.Finding{}
	}
	if f := ask(); f.Err == nil {
		t.Errorf("with the server down: %+v", f)
	}
	b.publish(b.saying("r-one"))
	if f := ask(); f.Err != nil || !strings.HasPrefix(f.Note, "revision r-one+") {
		t.Errorf("%+v", f)
	}
	b.publish(anyones(t))
	if f := ask(); f.Err == nil || !strings.Contains(f.Err.Error(), ".signatures.json") {
		t.Errorf("unsigned: %+v", f)
	}
}
