package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// now is the witness's time.
const now = 1772600000

// A server is a witness by C2SP tlog-witness, of one log. It shares nothing with what it is asked by.
type server struct {
	*httptest.Server
	name   string
	key    ed25519.PrivateKey
	logs   note.Verifiers
	origin string

	mu    sync.Mutex
	size  int64
	root  tlog.Hash
	asked int
	// wrong, where set, answers in place of the witness.
	wrong func(w http.ResponseWriter, r *http.Request) bool
}

func newServer(t testing.TB, name string, logKeys ...string) *server {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{name: name, key: key, origin: origin}
	s.know(t, logKeys...)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) know(t testing.TB, logKeys ...string) {
	t.Helper()
	var all []note.Verifier
	for _, k := range logKeys {
		v, err := note.NewVerifier(k)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = note.VerifierList(all...)
}

// misbehave sets what answers in place of the witness.
func (s *server) misbehave(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = f
}

func (s *server) public() []byte { return append([]byte{4}, s.key.Public().(ed25519.PublicKey)...) }

func (s *server) hash() []byte {
	sum := sha256.Sum256(append([]byte(s.name+"\n"), s.public()...))
	return sum[:4]
}

func (s *server) vkey() string {
	return fmt.Sprintf("%s+%x+%s", s.name, s.hash(), base64.StdEncoding.EncodeToString(s.public()))
}

func (s *server) cosigner(t testing.TB) *accesslog.Cosigner {
	t.Helper()
	c, err := accesslog.ParseCosigner(s.vkey())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// line is the cosignature of a text.
func (s *server) line(text string) string { return s.lineAt(text, now) }

func (s *server) lineAt(text string, at uint64) string {
	sig := binary.BigEndian.AppendUint64(s.hash(), at)
	sig = append(sig, ed25519.Sign(s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))...)
	return "— " + s.name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	wrong := s.wrong
	s.mu.Unlock()
	if wrong != nil && wrong(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	head, message, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	number, isOld := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(number, 10, 64)
	if r.URL.Path != "/add-checkpoint" || r.Method != "POST" || !ok || !isOld || err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var proof tlog.TreeProof
	for _, l := range lines[1:] {
		h, err := tlog.ParseHash(l)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	if !bytes.HasPrefix(message, []byte(s.origin+"\n")) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	n, err := note.Open(message, s.logs)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	text := strings.Split(n.Text, "\n")
	size, _ := strconv.ParseInt(text[1], 10, 64)
	root, err := tlog.ParseHash(text[2])
	if err != nil || old > size {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if old != s.size || old == size && root != s.root {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, s.size)
		return
	}
	if old > 0 && old < size && tlog.CheckTree(proof, size, root, old, s.root) != nil || (old == 0 || old == size) && len(proof) > 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.size, s.root = size, root
	io.WriteString(w, "— other.example AAAAAGFiY2Q=\n"+s.line(n.Text))
}
