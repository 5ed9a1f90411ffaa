package delivery_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/halfdoor/halfdoor/policies/delivery"
)

// TestFollow has bundles come by long polling, one after the other, and the last of them from the disk when the server is
// down: the same tree, verified again.
func TestFollow(t *testing.T) {
	s := newServer(t)
	signer, key := keyPair(t, "board")
	o := delivery.Options{
		Service: delivery.Service{URL: s.URL, Token: "let-me-in"}, Resource: "policy.tar.gz", Persist: filepath.Join(t.TempDir(), "kept"),
		Signing: delivery.Signing{Keys: []delivery.Key{key}},
	}
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{Revision: "r1", Key: &signer}))
	f := follow(t, o, nil)
	f.until("the first", func() bool { return slices.Equal(f.words(), []string{"one"}) })
	s.put("/policy.tar.gz", pack(t, rules("two"), delivery.Build{Revision: "r2", Key: &signer}))
	f.until("the second", func() bool { return slices.Equal(f.words(), []string{"one", "two"}) })
	f.until("a question with an ETag", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.matched > 0 })
	f.stop()
	s.mu.Lock() // it may still be answering a question that nobody waits for
	if !s.tokens["Bearer let-me-in"] || len(s.tokens) != 1 {
		t.Errorf("asked with %v", s.tokens)
	}
	s.mu.Unlock()
	want := map[string]string{
		".manifest":              `{"revision":"r2","roots":[""]}`,
		"data.json":              `{"halfdoor":{"desks":{"front":{"limit":7}}}}`,
		"halfdoor/decision.rego": "package halfdoor\n\nword := \"two\"\n",
	}
	if got := f.trees[1]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}

	s.stop(true)
	again := follow(t, o, nil) // Start has read the disk when it returns
	if !slices.Equal(again.words(), []string{"two"}) || !reflect.DeepEqual(again.trees[0], want) {
		t.Errorf("from the disk: %q %q", again.words(), again.trees)
	}
	again.until("the failure", func() bool { return again.failed() != nil })
	s.stop(false)
	again.until("the recovery", func() bool { return again.failed() == nil })
	if got := again.words(); !slices.Equal(got, []string{"two"}) {
		t.Errorf("the same bundle went live again: %q", got)
	}
	if info, err := os.Stat(o.Persist); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
}

// TestRefused shows bundles that must not be taken: each is told of, shown to nobody and not kept.
func TestRefused(t *testing.T) {
	signer, key := keyPair(t, "board")
	stranger, _ := keyPair(t, "board")
	scoped := signer
	scoped.Scope = "other"
	other := signer
	other.ID = "unknown"
	seven, eight := int64(7), int64(8)
	good := pack(t, rules("good"), delivery.Build{Serial: &eight, Key: &signer})
	better := pack(t, rules("better"), delivery.Build{Serial: &eight, Key: &signer})
	for _, c := range []struct {
		name   string
		bundle []byte
		want   string
	}{
		{"unsigned", pack(t, rules("bad"), delivery.Build{Serial: &eight}), "bundle missing .signatures.json file"},
		{"signed by another", pack(t, rules("bad"), delivery.Build{Serial: &eight, Key: &stranger}), "failed to verify JWT signature"},
		{"signed by a key that is not known", pack(t, rules("bad"), delivery.Build{Serial: &eight, Key: &other}), "not found"},
		{"signed for another scope", pack(t, rules("bad"), delivery.Build{Serial: &eight, Key: &scoped}), "scope mismatch"},
		{"changed rule", change(t, pack(t, rules("fine"), delivery.Build{Serial: &eight, Key: &signer}), "/halfdoor/decision.rego", "fine", "foul"), "digest mismatch"},
		{"changed data", change(t, pack(t, rules("fine"), delivery.Build{Serial: &eight, Key: &signer}), "/data.json", "7", "9"), "digest mismatch"},
		{"changed manifest", change(t, pack(t, rules("fine"), delivery.Build{Serial: &eight, Key: &signer}), "/.manifest", "8", "9"), "digest mismatch"},
		{"added file", added(t, good, "/halfdoor/more.rego", "package halfdoor.more\n"), "not included in bundle signature"},
		{"cut short", good[:len(good)/2], "EOF"},
		{"no tarball", []byte("<html>not found</html>"), "gzip"},
		{"a rule that does not parse", pack(t, fstest.MapFS{"a.rego": {Data: []byte("package a\n")}}, delivery.Build{Key: &signer})[:20], "EOF"},
		{"older", pack(t, rules("older"), delivery.Build{Serial: &seven, Key: &signer}), "older than the one that serves"},
		{"without a serial", pack(t, rules("older"), delivery.Build{Key: &signer}), "older than the one that serves"},
		{"refused by the gate", pack(t, rules("bad"), delivery.Build{Serial: &eight, Key: &signer}), "the gate says no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			s.put("/policy.tar.gz", good)
			judged := 0
			f := follow(t, delivery.Options{
				Service: delivery.Service{URL: s.URL}, Resource: "policy.tar.gz", Persist: t.TempDir(),
				Signing: delivery.Signing{Keys: []delivery.Key{key}},
			}, func(word string) error {
				if word == "bad" {
					judged++
					return errors.New("the gate says no")
				}
				return nil
			})
			f.until("the good one", func() bool { return len(f.words()) == 1 })
			s.put("/policy.tar.gz", c.bundle)
			f.until("the refusal", func() bool { return f.failed() != nil && strings.Contains(f.failed().Error(), c.want) })
			s.mu.Lock()
			asked := s.asked
			s.mu.Unlock()
			f.until("another question", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.asked > asked+1 })
			if got := f.words(); !slices.Equal(got, []string{"good"}) {
				t.Errorf("went live: %q", got)
			}
			kept, err := os.ReadFile(filepath.Join(keptIn(t, f), "bundle.tar.gz"))
			check(t, err)
			if !bytes.Equal(kept, good) {
				t.Error("the disk has another bundle than the good one")
			}
			s.put("/policy.tar.gz", better)
			f.until("the recovery", func() bool { return f.failed() == nil })
			f.stop()
			if judged > 1 {
				t.Errorf("the same bundle was judged %d times", judged)
			}
			kept, err = os.ReadFile(filepath.Join(keptIn(t, f), "bundle.tar.gz"))
			check(t, err)
			if !bytes.Equal(kept, better) || !slices.Equal(f.words(), []string{"good", "better"}) {
				t.Errorf("the disk has another bundle than the better one, or what was live is %q", f.words())
			}
		})
	}
}

// TestKeptIsVerified changes the last good bundle on the disk: it is not believed.
func TestKeptIsVerified(t *testing.T) {
	s := newServer(t)
	signer, key := keyPair(t, "board")
	o := delivery.Options{
		Service: delivery.Service{URL: s.URL}, Resource: "policy.tar.gz", Persist: t.TempDir(),
		Signing: delivery.Signing{Keys: []delivery.Key{key}},
	}
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{Key: &signer}))
	f := follow(t, o, nil)
	f.until("the first", func() bool { return len(f.words()) == 1 })
	f.stop()
	s.stop(true)
	for name, content := range map[string][]byte{
		"changed":  change(t, pack(t, rules("fine"), delivery.Build{Key: &signer}), "/halfdoor/decision.rego", "fine", "foul"),
		"unsigned": pack(t, rules("fine"), delivery.Build{}),
	} {
		check(t, os.WriteFile(filepath.Join(o.Persist, "bundles", "halfdoor", "bundle.tar.gz"), content, 0o600))
		again := follow(t, o, nil)
		again.until("the failure", func() bool { return again.failed() != nil })
		if got := again.words(); len(got) != 0 {
			t.Errorf("%s: %q went live", name, got)
		}
		again.stop()
	}
}

// TestUnsigned takes bundles without a signature where, and only where, that was asked for by name.
func TestUnsigned(t *testing.T) {
	s := newServer(t)
	o := delivery.Options{ID: "test", Service: delivery.Service{URL: s.URL}, Resource: "policy.tar.gz", Persist: t.TempDir()}
	o.Activate, o.Told = (&follower{t: t}).activate, func(error) {}
	if _, err := delivery.New(o); err == nil || !strings.Contains(err.Error(), "without a signature are refused") {
		t.Fatalf("%v", err)
	}
	o.InsecureUnsigned = true
	s.put("/policy.tar.gz", pack(t, rules("one"), delivery.Build{}))
	f := follow(t, o, nil)
	f.until("the first", func() bool { return slices.Equal(f.words(), []string{"one"}) })
}

// TestDiscovery finds the bundle by another one, which says where it is and nothing else.
func TestDiscovery(t *testing.T) {
	s := newServer(t)
	signer, key := keyPair(t, "board")
	say := func(config string) []byte {
		return pack(t, fstest.MapFS{"data.json": {Data: []byte(config)}}, delivery.Build{Key: &signer})
	}
	s.put("/discovery.tar.gz", say(`{"bundles": {"halfdoor": {"resource": "east.tar.gz"}}, "labels": {"site": "east"}}`))
	s.put("/east.tar.gz", pack(t, rules("east"), delivery.Build{Key: &signer}))
	s.put("/west.tar.gz", pack(t, rules("west"), delivery.Build{Key: &signer}))
	s.put("/unsigned.tar.gz", pack(t, rules("unsigned"), delivery.Build{}))
	f := follow(t, delivery.Options{
		Service: delivery.Service{URL: s.URL}, Discovery: "discovery.tar.gz", Persist: t.TempDir(),
		Signing: delivery.Signing{Keys: []delivery.Key{key}},
	}, nil)
	f.until("the bundle", func() bool { return slices.Equal(f.words(), []string{"east"}) })
	for config, want := range map[string]string{
		`{"bundles": {"halfdoor": {"resource": "east.tar.gz"}}, "keys": {"mine": {"key": "x"}}}`:                      "must not say keys",
		`{"bundles": {"halfdoor": {"resource": "east.tar.gz"}}, "services": {"mine": {"url": "http://127.0.0.1:1"}}}`: "must not say services",
		`{"bundles": {"halfdoor": {"resource": "file:///etc/passwd"}}}`:                                               "has to be one of the service",
		`{"bundles": {"halfdoor": {"resource": "east.tar.gz"}, "more": {"resource": "west.tar.gz"}}}`:                 "has to name one bundle",
		`{"labels": {"site": "east"}}`: "bundles",
		`{"bundles": {"halfdoor": {"resource": "east.tar.gz"}}, "decision_logs": {"console": true}}`: "must not say decision_logs",
	} {
		s.put("/discovery.tar.gz", say(config))
		f.until(config, func() bool { return f.failed() != nil && strings.Contains(f.failed().Error(), want) })
	}
	// It cannot say that a signature is not needed.
	s.put("/discovery.tar.gz", say(`{"bundles": {"halfdoor": {"resource": "unsigned.tar.gz", "signing": null, "persist": false}}}`))
	f.until("the refusal", func() bool { return f.failed() != nil && strings.Contains(f.failed().Error(), ".signatures.json") })
	s.put("/discovery.tar.gz", say(`{"bundles": {"halfdoor": {"resource": "west.tar.gz"}}}`))
	f.until("the other bundle", func() bool { return slices.Equal(f.words(), []string{"east", "west"}) })
}

// TestRead takes what OPA's own library wrote, as opa build and opa sign do, and what this package wrote: one tree.
func TestRead(t *testing.T) {
	signer, key := keyPair(t, "board")
	signing := delivery.Signing{Keys: []delivery.Key{key}}
	tree := rules("peer")
	delete(tree, ".git/data.json")
	loader, err := bundle.NewFSLoader(tree)
	check(t, err)
	peer, err := bundle.NewCustomReader(loader).Read()
	check(t, err)
	check(t, peer.GenerateSignature(bundle.NewSigningConfig(signer.PEM, "ES256", ""), "board", false))
	var out bytes.Buffer
	check(t, bundle.NewWriter(&out).Write(peer))
	theirs, err := delivery.Read(&out, signing)
	check(t, err)
	ours, err := delivery.Read(bytes.NewReader(pack(t, rules("peer"), delivery.Build{Key: &signer})), signing)
	check(t, err)
	a, b := &follower{t: t}, &follower{t: t}
	check(t, a.activate(t.Context(), theirs))
	check(t, b.activate(t.Context(), ours))
	for _, f := range []*follower{a, b} {
		delete(f.trees[0], ".manifest") // ours states its roots
	}
	if !reflect.DeepEqual(a.trees, b.trees) {
		t.Errorf("%q and %q", a.trees, b.trees)
	}
	if _, err := delivery.Read(bytes.NewReader(pack(t, rules("x"), delivery.Build{})), signing); err == nil {
		t.Error("a tarball without a signature was taken")
	}
	if _, err := delivery.Read(bytes.NewReader(pack(t, rules("x"), delivery.Build{Key: &signer})), delivery.Signing{}); err != nil {
		t.Errorf("without keys: %v", err)
	}
}

func TestOptions(t *testing.T) {
	_, key := keyPair(t, "board")
	signer, _ := keyPair(t, "board")
	f := &follower{t: t}
	good := delivery.Options{
		ID: "test", Service: delivery.Service{URL: "https://bundles.example"}, Resource: "p", Persist: t.TempDir(),
		Signing: delivery.Signing{Keys: []delivery.Key{key}}, Activate: f.activate, Told: func(error) {},
		Polling: delivery.Polling{Min: time.Second, Max: time.Second},
	}
	for name, c := range map[string]struct {
		change func(*delivery.Options)
		want   string
	}{
		"no keys":            {func(o *delivery.Options) { o.Signing.Keys = nil }, "without a signature"},
		"no folder":          {func(o *delivery.Options) { o.Persist = "" }, "a folder"},
		"no resource":        {func(o *delivery.Options) { o.Resource = "" }, "either a resource or discovery"},
		"a file":             {func(o *delivery.Options) { o.Resource = "file:///etc/policy" }, "one of the service"},
		"a secret algorithm": {func(o *delivery.Options) { o.Signing.Keys = []delivery.Key{{ID: "a", Algorithm: "HS256", PEM: "x"}} }, "no algorithm"},
		"a private key": {func(o *delivery.Options) {
			o.Signing.Keys = []delivery.Key{{ID: "a", Algorithm: "ES256", PEM: signer.PEM}}
		}, "not private key"},
		"another curve": {func(o *delivery.Options) {
			o.Signing.Keys = []delivery.Key{{ID: "a", Algorithm: "ES384", PEM: key.PEM}}
		}, "curve"},
		"no key":      {func(o *delivery.Options) { o.Signing.Keys = []delivery.Key{{ID: "a", Algorithm: "ES256", PEM: "key"}} }, "PEM"},
		"an id twice": {func(o *delivery.Options) { o.Signing.Keys = []delivery.Key{key, key} }, "two keys"},
		"polling":     {func(o *delivery.Options) { o.Polling = delivery.Polling{Min: time.Minute, Max: time.Second} }, "polling"},
	} {
		o := good
		c.change(&o)
		if d, err := delivery.New(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
			if d != nil {
				d.Stop(t.Context())
			}
		}
	}
	d, err := delivery.New(good)
	check(t, err)
	d.Stop(t.Context())
}

// keptIn is the folder of the bundle that was kept.
func keptIn(t *testing.T, f *follower) string {
	t.Helper()
	return filepath.Join(f.d.Persisted(), "bundles", "halfdoor")
}

// change rewrites a file within a tarball.
func change(t *testing.T, content []byte, file, old, new string) []byte {
	t.Helper()
	return rewrite(t, content, func(name string, text []byte) []byte {
		if name != file {
			return text
		}
		out := bytes.ReplaceAll(text, []byte(old), []byte(new))
		if bytes.Equal(out, text) {
			t.Fatalf("%s has no %q: %s", file, old, text)
		}
		return out
	}, "", "")
}

func added(t *testing.T, content []byte, name, text string) []byte {
	t.Helper()
	return rewrite(t, content, func(_ string, text []byte) []byte { return text }, name, text)
}

func rewrite(t *testing.T, content []byte, each func(string, []byte) []byte, more, text string) []byte {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	check(t, err)
	in := tar.NewReader(unzipped)
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	to := tar.NewWriter(zipped)
	put := func(name string, content []byte) {
		check(t, to.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := to.Write(content)
		check(t, err)
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		content, err := io.ReadAll(in)
		check(t, err)
		put(h.Name, each(h.Name, content))
	}
	if more != "" {
		put(more, []byte(text))
	}
	check(t, to.Close())
	check(t, zipped.Close())
	return out.Bytes()
}
