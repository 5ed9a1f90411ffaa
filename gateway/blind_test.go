package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

// TestBlind is what the gateway exists for, as one property: two EHRs that differ only in what
// a dataset hides cannot be told apart through it. Random datasets, two sandboxes of the same
// seed of which one is disguised (blind_dataset_test.go), random requests of every shape
// (blind_request_test.go), asked of both through the same gateway: status, header, body, counts
// and pages must be the same to the byte.
//
// What may differ by itself is held still: the clock, and the ids of the request, which the client
// gives; but an Idempotency-Key is each one's own. A sealed link to a page has a random nonce: its length is compared, and the page behind it.
// The header Date is left out.
//
// HALFDOOR_BLIND=FIRST+COUNT sets the seeds; a failure names its own.
func TestBlind(t *testing.T) {
	first, count, requests := uint64(1), uint64(6), 150
	more := []uint64{100} // in which writes below the top level once told what is hidden there
	if text := os.Getenv("HALFDOOR_BLIND"); text != "" {
		if _, err := fmt.Sscanf(text, "%d+%d", &first, &count); err != nil {
			t.Fatalf("HALFDOOR_BLIND: %v", err)
		}
		more = nil
	}
	all := tally{}
	for seed := first; seed < first+count; seed++ {
		more = append(more, seed)
	}
	for _, seed := range more {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { blind(t, seed, requests, all) })
	}
	t.Log(all)
	if os.Getenv("HALFDOOR_BLIND") != "" {
		return
	}
	// It could not fail if nothing was answered, or if no request would have told the two apart.
	if all["answered"] < 100 || all["refused"] < 100 || all["pages"] == 0 || all["oracles refused"] < 5 || all["written below"] == 0 {
		t.Errorf("too little was tried: %v", all)
	}
}

// TestBlindSees shows that the property can fail: an element that leaves, changed in one of the
// two, is noticed.
func TestBlindSees(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	w, s, _ := newPair(t, 3, rng, func(b *blindfold, kind, id string, body []byte) []byte {
		b.rows["Location"] = map[string]string{"id": "token", "name": "keep"}
		return bytes.ReplaceAll(body, []byte("Main Desk"), []byte("Main Door"))
	})
	r := asked{method: "GET", path: "/Location?_count=50"}
	if x, y := s.ask(w, 0, r), s.ask(w, 1, r); x.status != 200 || same(x, y) == "" {
		t.Errorf("not noticed: %d %s", x.status, x.body)
	}
}

// tally counts what was tried.
type tally map[string]int

func (t tally) String() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, t[k]))
	}
	return strings.Join(parts, ", ")
}

// pair is two EHRs at one address, of which one answers at a time.
type pair struct {
	ehrs  [2]*demo.EHR
	which atomic.Int32
	token string
	count int
}

func (p *pair) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.ehrs[p.which.Load()].ServeHTTP(w, r)
}

// newPair starts a gateway over a sandbox and its disguise.
func newPair(t *testing.T, seed uint64, rng *rand.Rand, change func(b *blindfold, kind, id string, body []byte) []byte) (*world, *pair, *blindfold) {
	options := demo.EHROptions{Seed: seed, Patients: 12}
	s := &pair{}
	s.ehrs[0] = demo.NewEHR(options)
	s.ehrs[0].SetBaseURL("{{base}}")
	b := newBlindfold(seed, rng, s.ehrs[0])
	options.Change = func(kind, id string, body []byte) []byte { return change(b, kind, id, body) }
	s.ehrs[1] = demo.NewEHR(options)
	now := time.Now()
	w := newWorld(t, withEHR(s), withConfig(func(y string) string {
		return y + "policy: {bundle: bundle}\nlimits: {patients_per_hour: 0, window: 4KiB}\n"
	}), withBundle(map[string]string{"halfdoor/decision.rego": b.rego(), "halfdoor/datasets/blind/data.yaml": b.yaml()}),
		func(o *worldOptions) {
			o.run = func(r *gateway.RunOptions) { r.Now = func() time.Time { return now } }
		})
	for _, e := range s.ehrs {
		e.SetBaseURL(w.ehrURL)
	}
	s.token = w.token("demo-access", demo.TokenOptions{Scopes: []string{"system/*.cruds"}, Claims: map[string]any{"exp": now.Add(time.Hour).Unix()}})
	return w, s, b
}

// sealer makes the tokens that a client would be given.
func (w *world) sealer(client string) func(kind, id string) string {
	cfg, err := configs.Load(w.made.Config)
	check(w.t, err)
	v, err := vault.Open(vault.Options{Keyset: cfg.Vault.Keyset.Bytes(), Dir: w.t.TempDir(), Now: time.Now})
	check(w.t, err)
	w.t.Cleanup(func() { _ = v.Close() }) // it wrote nothing
	seal, err := v.Sealer(cfg.EHRs[0].Tenant, gateway.TokenClient(cfg.Issuers[0].URL, client), cfg.EHRs[0].Name)
	check(w.t, err)
	return func(kind, id string) string {
		token, err := seal.AppendToken(nil, kind, []byte(id))
		if err != nil {
			return "unsealed"
		}
		return string(token)
	}
}

// ask sends a request to the gateway while one of the two answers.
func (p *pair) ask(w *world, which int32, r asked) reply {
	w.t.Helper()
	p.which.Store(which)
	address := w.fhir + r.path
	if strings.HasPrefix(r.path, "https://") {
		address = r.path
	}
	req, err := http.NewRequest(r.method, address, strings.NewReader(r.body))
	check(w.t, err)
	if r.body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	id := fmt.Sprintf("blind-%d", p.count/2)
	p.count++
	req.Header.Set("X-Request-Id", id)
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(r.headers) == 0 || !slices.Contains(r.headers, "Accept-Encoding") {
		req.Header.Set("Accept-Encoding", "identity")
	}
	for i := 0; i+1 < len(r.headers); i += 2 {
		req.Header.Set(r.headers[i], r.headers[i+1])
	}
	if key := req.Header.Get("Idempotency-Key"); key != "" { // the gateway remembers what came of it at the other
		req.Header.Set("Idempotency-Key", fmt.Sprint(key, "-", which))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

var pageLink = regexp.MustCompile(`_page=[A-Za-z0-9_-]+`)

// masked is a body with the length of each page link in its place.
func masked(body []byte) string {
	return pageLink.ReplaceAllStringFunc(string(body), func(s string) string { return "_page=" + strconv.Itoa(len(s)) })
}

// same says in what two replies differ; nothing where they are the same.
func same(x, y reply) string {
	if (x.err == nil) != (y.err == nil) {
		return fmt.Sprintf("one was cut: %v, %v", x.err, y.err)
	}
	if x.status != y.status {
		return fmt.Sprintf("status %d and %d", x.status, y.status)
	}
	h, g := x.header.Clone(), y.header.Clone()
	h.Del("Date")
	g.Del("Date")
	a, b := decoded(x), decoded(y)
	if h.Get("Content-Encoding") != "" && pageLink.Match(a) && pageLink.Match(b) {
		h.Del("Content-Length") // random nonces do not compress to the same length each time
		g.Del("Content-Length")
	} else {
		a, b = x.body, y.body
	}
	if !maps.EqualFunc(h, g, slices.Equal) {
		return fmt.Sprintf("headers %v and %v", h, g)
	}
	if a, b := masked(a), masked(b); a != b {
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		from := max(0, i-200)
		return fmt.Sprintf("bodies of %d and %d bytes, from\n%q\n%q", len(a), len(b), a[from:min(len(a), i+200)], b[from:min(len(b), i+200)])
	}
	return ""
}

// decoded is a body without its coding.
func decoded(r reply) []byte {
	var d io.Reader
	var err error
	switch r.header.Get("Content-Encoding") {
	case "gzip":
		d, err = gzip.NewReader(bytes.NewReader(r.body))
	case "zstd":
		d, err = zstd.NewReader(bytes.NewReader(r.body))
	default:
		return r.body
	}
	if err != nil {
		return r.body
	}
	body, _ := io.ReadAll(d) // a cut one as far as it goes
	return body
}

// blind tries one dataset.
func blind(t *testing.T, seed uint64, requests int, all tally) {
	rng := rand.New(rand.NewPCG(seed, 0))
	w, s, b := newPair(t, seed, rng, (*blindfold).disguise)
	a := &asker{blindfold: b, rng: rng, ehrs: s.ehrs, seal: w.sealer("demo-access"), tags: map[string]string{}, read: map[string]string{}}
	for range requests {
		r := a.next()
		tells := s.tells(w, r)
		of := r
		for pages, other := 0, r; ; pages++ {
			x, y := s.ask(w, 0, r), s.ask(w, 1, other)
			if how := same(x, y); how != "" {
				t.Errorf("%s\nHALFDOOR_BLIND=%d+1: page %d of %s: %s", b.yaml(), seed, pages+1, of, how)
				return
			}
			outcome := "answered"
			switch {
			case x.code() == "internal":
				t.Errorf("%s\nHALFDOOR_BLIND=%d+1: page %d of %s: an error of the gateway's own:\n%s", b.yaml(), seed, pages+1, of, w.operator)
				return
			case x.err != nil || x.status >= 500:
				outcome = "failed"
			case x.status >= 400:
				outcome = "refused"
				if tells {
					all["oracles refused"]++
				}
			case r.method == "GET" && x.header.Get("ETag") != "" && x.header.Get("Content-Encoding") == "":
				a.tags[r.path], a.read[r.path] = x.header.Get("ETag"), string(x.body)
			}
			if all[outcome]++; r.below && outcome == "answered" {
				all["written below"]++
			}
			all[r.method+" "+outcome]++
			if r.method != "GET" && r.method != "HEAD" && outcome == "refused" {
				all[r.method+" refused "+x.code()]++
			}
			if outcome == "failed" {
				all["failed "+x.code()]++
			}
			next := func(r reply) asked {
				return asked{method: "GET", path: gjson.GetBytes(decoded(r), `link.#(relation=="next").url`).String()}
			}
			if r, other = next(x), next(y); r.path == "" || pages == 2 {
				break
			}
			all["pages"]++
		}
	}
}

// tells says whether the two EHRs themselves count another number of matches.
func (p *pair) tells(w *world, r asked) bool {
	path, query, ok := strings.Cut(r.path, "?")
	if !ok || r.method != "GET" || strings.Count(path, "/") != 1 {
		return false
	}
	var totals [2]string
	for i := range p.ehrs {
		p.which.Store(int32(i))
		resp, err := http.Get(w.ehrURL + path + "?" + query)
		if err != nil {
			return false
		}
		body, _ := io.ReadAll(resp.Body) // a broken one counts nothing
		resp.Body.Close()
		totals[i] = gjson.GetBytes(body, "total").Raw
	}
	return totals[0] != totals[1]
}
