package delivery_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/policies/delivery"
)

// keyPair is a signer and who believes it.
func keyPair(t testing.TB, id string) (delivery.SigningKey, delivery.Key) {
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
	return delivery.SigningKey{ID: id, Algorithm: "ES256", PEM: text("PRIVATE KEY", private)},
		delivery.Key{ID: id, Algorithm: "ES256", PEM: text("PUBLIC KEY", public)}
}

// rules is a bundle whose rule says a word.
func rules(word string) fstest.MapFS {
	return fstest.MapFS{
		"halfdoor/decision.rego": {Data: []byte("package halfdoor\n\nword := \"" + word + "\"\n")},
		"halfdoor/data.yaml":     {Data: []byte("desks:\n  front: {limit: 7}\n")},
		".git/data.json":         {Data: []byte("{\"not\": \"ours\"}")},
	}
}

func pack(t testing.TB, tree fs.FS, b delivery.Build) []byte {
	t.Helper()
	var out bytes.Buffer
	check(t, delivery.Write(&out, tree, b))
	return out.Bytes()
}

// server is a bundle server that anyone could run: files with ETags, which holds a request back while there is nothing new,
// for those that ask it to.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	files   map[string][]byte
	changed chan struct{}
	down    bool
	asked   int
	matched int // answered 304
	tokens  map[string]bool
}

func newServer(t testing.TB) *server {
	s := &server{files: map[string][]byte{}, changed: make(chan struct{}), tokens: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Cleanup(func() { s.put("the end", nil) })
	return s
}

func (s *server) put(name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = content
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) stop(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for {
		s.mu.Lock()
		content, changed, down := s.files[r.URL.Path], s.changed, s.down
		s.asked++
		s.tokens[r.Header.Get("Authorization")] = true
		tag := fmt.Sprintf("%q", fmt.Sprintf("%x", len(content))+fmt.Sprintf("%x", sum(content)))
		same := content != nil && r.Header.Get("If-None-Match") == tag
		if same {
			s.matched++
		}
		s.mu.Unlock()
		switch {
		case down:
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		case content == nil:
			http.NotFound(w, r)
			return
		case same:
			select {
			case <-changed:
				continue
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
		_, _ = w.Write(content)
		return
	}
}

func sum(b []byte) (n uint64) {
	for _, c := range b {
		n = n*1099511628211 ^ uint64(c)
	}
	return n
}

// follower is who follows the server: what was shown to its gate, and what it was told.
type follower struct {
	t  *testing.T
	d  *delivery.Delivery
	mu sync.Mutex

	live   []string // words
	trees  []map[string]string
	told   []error
	refuse func(word string) error
}

func follow(t *testing.T, o delivery.Options, refuse func(string) error) *follower {
	t.Helper()
	f := &follower{t: t, refuse: refuse}
	o.ID, o.Activate, o.Told = "test", f.activate, func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, err)
	}
	o.Logger = zerolog.New(zerolog.NewTestWriter(t))
	if o.Polling == (delivery.Polling{}) {
		o.Polling = delivery.Polling{Min: time.Second, Max: time.Second, LongPolling: time.Minute}
	}
	d, err := delivery.New(o)
	check(t, err)
	f.d = d
	check(t, d.Start(context.Background()))
	t.Cleanup(f.stop)
	return f
}

func (f *follower) stop() { f.d.Stop(context.Background()) }

func (f *follower) activate(_ context.Context, tree fs.FS) error {
	files := map[string]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		files[name] = string(content)
		return err
	})
	check(f.t, err)
	var word string
	if _, err := fmt.Sscanf(files["halfdoor/decision.rego"], "package halfdoor\n\nword := %q", &word); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		if err := f.refuse(word); err != nil {
			return err
		}
	}
	f.live, f.trees = append(f.live, word), append(f.trees, files)
	return nil
}

func (f *follower) words() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.live...)
}

// failed is the last thing that was told, if it is a failure.
func (f *follower) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) == 0 {
		return nil
	}
	return f.told[len(f.told)-1]
}

func (f *follower) until(what string, holds func() bool) {
	f.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			f.t.Fatalf("not in time: %s; live %q, told %v", what, f.words(), f.failed())
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
