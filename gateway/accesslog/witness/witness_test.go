package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/witness"
)

const origin = "gateway.example/audit"

// A site is a log that is shown to witnesses. A round runs when the test says so.
type site struct {
	t             *testing.T
	dir           string
	key, verifier string
	retiring      string
	log           *accesslog.Log
	servers       []*server
	all           *witness.Witnesses
	tick          chan time.Time
	waits         chan bool
	stop          func()
}

func newSite(t *testing.T, names ...string) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "log")}
	var err error
	if s.key, s.verifier, err = accesslog.GenerateKey(origin); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		s.servers = append(s.servers, newServer(t, n, s.verifier))
	}
	s.open()
	return s
}

func (s *site) open() {
	s.t.Helper()
	o := accesslog.Options{Dir: s.dir, Origin: origin, SigningKey: []byte(s.key), PatientKey: bytes.Repeat([]byte{7}, 32), SegmentBytes: 64 << 10}
	if s.retiring != "" {
		o.RetiringKey = []byte(s.retiring)
	}
	var err error
	if s.log, err = accesslog.Open(o); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.log.Close() })
}

func (s *site) append(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.log.Append(&accesslog.Record{Kind: accesslog.KindAdmin, Detail: "x"}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// start begins with a first round, and returns when it is over.
func (s *site) start() {
	s.t.Helper()
	o := witness.Options{Log: s.log, Dir: s.dir, Every: time.Minute}
	for _, v := range s.servers {
		o.Witnesses = append(o.Witnesses, witness.Witness{Key: v.cosigner(s.t), URL: v.URL + "/", Client: v.Client()})
	}
	tick, waits := make(chan time.Time), make(chan bool, 1)
	s.tick, s.waits = tick, waits
	o.After = func(time.Duration) <-chan time.Time { waits <- true; return tick }
	var err error
	if s.all, err = witness.New(o); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() { s.all.Run(ctx); close(ended) }()
	s.stop = func() { cancel(); <-ended }
	s.t.Cleanup(s.stop)
	<-s.waits
}

// round runs rounds until they are over.
func (s *site) round(n int) {
	for range n {
		s.tick <- time.Time{}
		<-s.waits
	}
}

func (s *site) verify(needed int) (*accesslog.Verified, error) {
	o := accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier, WitnessesNeeded: needed}
	for _, v := range s.servers {
		o.Witnesses = append(o.Witnesses, v.vkey())
	}
	return accesslog.Verify(s.t.Context(), o)
}

func (s *site) files() []string {
	all, err := filepath.Glob(filepath.Join(s.dir, "witnessed.*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	return all
}

// want holds a witness's status to a size and a part of its problem.
func (s *site) want(i int, cosigned int64, problem string, contradicts bool) {
	s.t.Helper()
	st := s.all.Statuses()[i]
	if st.Cosigned != cosigned || !strings.Contains(st.Problem, problem) || (problem != "") != st.Failing || st.Contradicts != contradicts {
		s.t.Errorf("witness %d: %+v", i, st)
	}
}

// TestCosigned: both witnesses' cosignatures meet on one checkpoint, which follows the log, also over a start.
func TestCosigned(t *testing.T) {
	s := newSite(t, "east.example/w", "west.example/w")
	s.append(5)
	s.start()
	s.append(8)
	s.round(1)
	s.append(3)
	for i := range 2 {
		s.want(i, 13, "", false)
	}
	if got := s.files(); len(got) != 1 || got[0] != "witnessed.13" {
		t.Errorf("files: %q", got)
	}
	v, err := s.verify(0)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range v.Witnessed {
		if w.Witness != s.servers[i].name || w.Size != 13 || w.Behind != 3 || w.Time.Unix() != now {
			t.Errorf("%+v", w)
		}
	}
	// The process ends at once, and a new one goes on from what is beside the log.
	s.stop()
	s.log.Close()
	s.open()
	s.append(20)
	asked := s.servers[0].asked
	s.start()
	s.want(0, s.log.Durable(), "", false)
	if n := s.servers[0].asked - asked; n != 1 {
		t.Errorf("asked %d times", n)
	}
	// What was lost of them is found again by the size that the witness names.
	s.stop()
	for _, f := range s.files() {
		if err := os.Remove(filepath.Join(s.dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.verify(1); !errors.Is(err, accesslog.ErrUnwitnessed) {
		t.Errorf("without a cosignature: %v", err)
	}
	s.append(4)
	s.start()
	s.want(0, s.log.Durable(), "", false)
	if v, err := s.verify(2); err != nil || len(v.Witnessed) != 2 {
		t.Errorf("%v %v", v, err)
	}
}

// TestWrong: a witness that does not do what it should is told of, keeps nobody, and is asked again.
func TestWrong(t *testing.T) {
	answer := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}
	}
	text := func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		_, message, _ := strings.Cut(string(body), "\n\n")
		text, _, _ := strings.Cut(message, "\n\n")
		return text + "\n"
	}
	for _, c := range []struct {
		name, problem string
		contradicts   bool
		wrong         func(s *server) func(http.ResponseWriter, *http.Request) bool
	}{
		{"down", "cannot be reached", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
		}},
		{"unavailable", "answers 503", false, func(*server) func(http.ResponseWriter, *http.Request) bool { return answer(503, "text/plain", "") }},
		{"nonsense", "without a cosignature", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(200, "text/html", "<html>hello</html>")
		}},
		{"long", "too long", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(200, "text/plain", strings.Repeat("— x y\n", 10000))
		}},
		{"conflict without a size", "409 without a size", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(409, "text/x.tlog.size", "many\n")
		}},
		{"conflict with a misspelt size", "409 without a size", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(409, "text/x.tlog.size", "+4\n")
		}},
		{"beyond all time", "does not fit", false, func(s *server) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				io.WriteString(w, s.lineAt(text(r), 1<<61))
				return true
			}
		}},
		{"conflict with the same size", "size that it was told", false, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(409, "text/x.tlog.size", "4\n")
		}},
		{"unknown key", "403", false, func(*server) func(http.ResponseWriter, *http.Request) bool { return answer(403, "text/plain", "") }},
		{"unknown log", "404", false, func(*server) func(http.ResponseWriter, *http.Request) bool { return answer(404, "text/plain", "") }},
		{"forged", "does not fit", false, func(s *server) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				io.WriteString(w, s.line(strings.Replace(text(r), "\n9\n", "\n8\n", 1)))
				return true
			}
		}},
		{"another key of its name", "without a cosignature", false, func(s *server) func(http.ResponseWriter, *http.Request) bool {
			other := newServer(t, s.name)
			return func(w http.ResponseWriter, r *http.Request) bool {
				io.WriteString(w, other.line(text(r)))
				return true
			}
		}},
		{"further than the log", "has cosigned 1000 records, and the log signs 9", true, func(*server) func(http.ResponseWriter, *http.Request) bool {
			return answer(409, "text/x.tlog.size", "1000\n")
		}},
		{"inconsistent", "does not extend the 4 records", true, func(*server) func(http.ResponseWriter, *http.Request) bool { return answer(422, "text/plain", "") }},
		{"slow", "in time", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "east.example/w", "west.example/w")
			s.append(4)
			s.start()
			bad := s.servers[0]
			if c.wrong == nil {
				held, reached := make(chan bool), make(chan bool)
				t.Cleanup(func() { close(held) })
				bad.misbehave(func(w http.ResponseWriter, r *http.Request) bool { close(reached); <-held; return true })
				// Its time is over once it was asked.
				s.all.SetWithin(func(ctx context.Context, name string) (context.Context, context.CancelFunc) {
					ctx, end := context.WithCancelCause(ctx)
					if name == bad.name {
						go func() { <-reached; end(context.DeadlineExceeded) }()
					}
					return ctx, func() { end(nil) }
				})
			} else {
				bad.misbehave(c.wrong(bad))
			}
			s.append(5)
			s.round(1)
			s.want(0, 4, c.problem, c.contradicts)
			s.want(1, 9, "", false)
			if got := s.files(); len(got) != 2 {
				t.Errorf("files: %q", got)
			}
			if v, err := s.verify(2); err != nil || v.Witnessed[0].Size != 4 || v.Witnessed[1].Size != 9 {
				t.Errorf("%v, %v", v, err)
			}
			if c.wrong == nil {
				return
			}
			bad.misbehave(nil)
			s.round(2)
			s.want(0, 9, "", false)
			if got := s.files(); len(got) != 1 {
				t.Errorf("files: %q", got)
			}
			if v, err := s.verify(2); err != nil || len(v.Witnessed) != 2 {
				t.Errorf("one file does not hold both: %v, %v", v, err)
			}
		})
	}
}

// TestPutBack: a log that was put back together with its checkpoint is found by the witness, and by who verifies.
func TestPutBack(t *testing.T) {
	s := newSite(t, "east.example/w")
	s.append(6)
	s.start()
	s.stop()
	s.log.Close()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	s.open()
	s.append(10)
	s.start()
	s.stop()
	s.log.Close()
	newer, err := os.ReadFile(filepath.Join(s.dir, s.files()[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.dir, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.verify(1); err != nil {
		t.Fatalf("the old log by itself: %v", err)
	}
	s.open()
	s.start()
	s.append(1)
	s.round(1)
	s.want(0, 6, fmt.Sprintf("it has cosigned 16 records, and the log signs %d", s.log.Durable()), true)
	// It grows beyond that with other records.
	s.append(20)
	s.round(1) // it is left alone
	s.round(4)
	s.want(0, 6, "does not extend the 16 records", true)
	s.stop()
	// Who kept the cosigned checkpoint finds it without the witness, and so does the gateway.
	if err := os.WriteFile(filepath.Join(s.dir, "witnessed.16"), newer, 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *accesslog.Damage
	if _, err := s.verify(1); !errors.As(err, &damage) || !strings.Contains(err.Error(), "what the witness east.example/w has cosigned") {
		t.Errorf("verify: %v", err)
	}
	asked := s.servers[0].asked
	s.start()
	s.want(0, 16, "the first 16 records are not those", true)
	if s.servers[0].asked != asked {
		t.Error("the witness was asked")
	}
	// A cosignature that does not fit its text is refused, and named.
	if err := os.WriteFile(filepath.Join(s.dir, "witnessed.16"), bytes.Replace(newer, []byte("\n16\n"), []byte("\n15\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.verify(1); !errors.Is(err, accesslog.ErrCosignature) || !errors.As(err, &damage) || damage.File != "witnessed.16" {
		t.Errorf("forged: %v", err)
	}
}

// TestOwnKeyRotated: the log's own key is another one; its witness is told, and goes on.
func TestOwnKeyRotated(t *testing.T) {
	s := newSite(t, "east.example/w")
	s.append(6)
	s.start()
	s.stop()
	s.log.Close()
	before := s.verifier
	s.retiring = s.key
	var err error
	if s.key, s.verifier, err = accesslog.GenerateKey(origin); err != nil {
		t.Fatal(err)
	}
	s.open()
	s.append(2)
	s.start()
	s.want(0, 6, "403", false)
	if v, err := s.verify(1); err != nil || v.Witnessed[0].Size != 6 {
		t.Errorf("%v, %v", v, err)
	}
	s.servers[0].know(t, before, s.verifier)
	s.round(2)
	s.want(0, s.log.Durable(), "", false)
	if v, err := s.verify(1); err != nil || v.Witnessed[0].Behind != 0 {
		t.Errorf("%v, %v", v, err)
	}
}

// TestNoWitness: a log's own key, and one witness twice, are not taken for witnesses.
func TestNoWitness(t *testing.T) {
	s := newSite(t, "east.example/w")
	s.append(1)
	if _, err := accesslog.ParseCosigner(s.verifier); err == nil {
		t.Error("the log's key passes for a witness's")
	}
	key := s.servers[0].vkey()
	if _, err := accesslog.ParseCosigner(strings.Replace(key, "east", "easy", 1)); err == nil {
		t.Error("a key of another name")
	}
	o := accesslog.VerifyOptions{Dir: s.dir, Key: s.verifier, Witnesses: []string{key, key}}
	if _, err := accesslog.Verify(t.Context(), o); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Errorf("twice: %v", err)
	}
}
