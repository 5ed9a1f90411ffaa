package gateway_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// spy stands before the sandbox, keeps what it is sent to write, and may do something first.
type spy struct {
	next   http.Handler
	mu     sync.Mutex
	writes []*http.Request
	bodies []string
	before func(w http.ResponseWriter, r *http.Request) (answered bool) // of a write
}

func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		s.next.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.mu.Lock()
	s.writes, s.bodies = append(s.writes, r), append(s.bodies, string(body))
	before := s.before
	s.mu.Unlock()
	if before == nil || !before(w, r) {
		s.next.ServeHTTP(w, r)
	}
}

// asked is how often the EHR was asked to write.
func (s *spy) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.writes)
}

func (s *spy) first(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// last is the last write that came.
func (s *spy) last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes[len(s.writes)-1], s.bodies[len(s.bodies)-1]
}

// newWriting is a world whose EHR's writes are watched, and the scheduling desk's token with every letter of a
// scope.
func newWriting(t *testing.T, settings ...setting) (*world, *spy, string) {
	t.Helper()
	s := &spy{}
	w := newWorld(t, append([]setting{withEHR(s)}, settings...)...)
	s.next = w.sandbox
	return w, s, w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}})
}

// put sends a body as FHIR's JSON; headers come in pairs.
func (w *world) put(method, token, path, body string, headers ...string) reply {
	w.t.Helper()
	kind := "application/fhir+json"
	if method == "PATCH" {
		kind = "application/json-patch+json"
	}
	if !slices.Contains(headers, "Content-Type") {
		headers = append([]string{"Content-Type", kind}, headers...)
	}
	return w.send(method, token, path, strings.NewReader(body), headers...)
}

// intent is the first of a write's two records, and what became of it the second.
func (w *world) intent(r reply) (intent, end *accesslog.Record) {
	w.t.Helper()
	found := w.records(r.header.Get("X-Request-Id"))
	if len(found) != 2 || found[0].Kind != accesslog.KindIntent || !found[0].More || found[1].More {
		w.t.Fatalf("%d records of a write: %+v", len(found), found)
	}
	return found[0], found[1]
}

// sealed is the scheduling desk's token of a resource.
func (w *world) sealed(kind, id string) string { return w.sealer("demo-scheduling")(kind, id) }

// real is the EHR's resource behind such a token.
func (w *world) real(kind, token string) (id string, body []byte) {
	w.t.Helper()
	seal := w.sealer("demo-scheduling")
	for _, id := range w.sandbox.IDs(kind) {
		if seal(kind, id) == token {
			body, _ := w.sandbox.Resource(kind, id)
			return id, body
		}
	}
	w.t.Fatalf("no %s has the token %s", kind, token)
	return "", nil
}

// withEverything is a policy that allows the scheduling desk every interaction with its types.
var withEverything = []setting{
	withConfig(func(y string) string { return y + "policy: {bundle: bundle}\n" }),
	withBundle(map[string]string{"halfdoor/decision.rego": `package halfdoor

# METADATA
# entrypoint: true
decision := {"allow": true, "dataset": "scheduling", "reason": {"code": "ok", "text": "Everything."}}
`}),
}
