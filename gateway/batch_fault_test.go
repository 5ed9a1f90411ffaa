package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// stepped is the sandbox, but for the request with a number, counted from 1, which something
// else is done to.
type stepped struct {
	w    *world
	at   int64
	then func(rw http.ResponseWriter, r *http.Request, sandbox http.Handler)
	n    atomic.Int64
}

func (s *stepped) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if s.n.Add(1) == s.at {
		s.then(rw, r, s.w.sandbox)
		return
	}
	s.w.sandbox.ServeHTTP(rw, r)
}

// newStepped is a world whose EHR is stepped.
func newStepped(t *testing.T, s *stepped, more ...setting) *world {
	s.w = newWorld(t, append(more, withEHR(s))...)
	return s.w
}

// cut ends the connection in the middle of an answer.
func cut(rw http.ResponseWriter, r *http.Request, sandbox http.Handler) {
	whole := httptest.NewRecorder()
	sandbox.ServeHTTP(whole, r)
	rw.Header().Set("Content-Type", "application/fhir+json")
	_, _ = rw.Write(whole.Body.Bytes()[:whole.Body.Len()*3/4])
	_ = http.NewResponseController(rw).Flush()
	panic(http.ErrAbortHandler)
}

// kinds are the kinds of records, with what each says of its status and code.
func kinds(recs []*accesslog.Record) string {
	var out []string
	for _, r := range recs {
		_, n, _ := strings.Cut(r.RequestID, "#")
		out = append(out, strings.TrimSpace(fmt.Sprint(n, " ", r.Kind, " ", r.Status, " ", r.Code)))
	}
	return strings.Join(out, ", ")
}

const narrow = "limits: {window: 4KiB}\n"

func withNarrow() setting { return withConfig(func(y string) string { return y + narrow }) }

// TestBatchWindows has an entry of many windows between others: each window has its record
// before it, and the entries are whole.
func TestBatchWindows(t *testing.T) {
	w := newWorld(t, withNarrow())
	token := w.token("demo-scheduling", demo.TokenOptions{})
	r, entries := w.batch(token, "GET Location?_count=1", "GET Appointment?_count=1000", "GET Location?_count=1")
	alone := w.get(token, "/Appointment?_count=1000")
	if got := entries[1].Get("resource").Raw; withoutPage(got) != withoutPage(string(alone.body)) {
		t.Errorf("%d bytes, alone %d", len(got), len(alone.body))
	}
	recs := w.records(r.header.Get("X-Request-Id"))
	middle := slices.DeleteFunc(slices.Clone(recs), func(r *accesslog.Record) bool { return !strings.HasSuffix(r.RequestID, "#2") })
	if len(middle) < 3 || len(recs) != len(middle)+3 || middle[0].Kind != accesslog.KindAccess || !middle[0].More ||
		middle[1].Kind != accesslog.KindRelease || middle[len(middle)-1].Kind != accesslog.KindClose {
		t.Errorf("records: %s", kinds(recs))
	}
	if last := middle[len(middle)-1]; last.Totals.BytesOut != int64(len(entries[1].Get("resource").Raw)) {
		t.Errorf("the close counts %d bytes of %d", last.Totals.BytesOut, len(entries[1].Get("resource").Raw))
	}
	w.verify()
}

// TestBatchCodings has the whole answer leave in a coding: the windows of all entries share it.
func TestBatchCodings(t *testing.T) {
	w := newWorld(t, withNarrow())
	w.http1()
	w.client.Transport.(*http.Transport).DisableCompression = true
	token := w.token("demo-scheduling", demo.TokenOptions{})
	body := asking("batch", "GET Location?_count=1", "GET Nonsense", "GET Appointment?_count=100")
	plain, coded := w.bundle(token, body), w.bundle(token, body, "Accept-Encoding", "gzip")
	if plain.header.Get("Content-Encoding") != "" || coded.header.Get("Content-Encoding") != "gzip" || coded.header.Get("Content-Length") != "" {
		t.Fatalf("%v, %v", plain.header, coded.header)
	}
	z, err := gzip.NewReader(bytes.NewReader(coded.body))
	check(t, err)
	got, err := io.ReadAll(z)
	check(t, err)
	one := strings.ReplaceAll(withoutPage(string(got)), coded.header.Get("X-Correlation-Id"), "")
	if two := strings.ReplaceAll(withoutPage(string(plain.body)), plain.header.Get("X-Correlation-Id"), ""); one != two || plain.status != 200 {
		t.Errorf("gzip:\n%.500s\nplain:\n%.500s", one, two)
	}
}

// TestBatchEHRDies has the EHR die under an entry: where nothing of the entry has left, it alone
// fails; where part has, the whole answer is cut.
func TestBatchEHRDies(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		var w *world
		w = newWorld(t, withEHR(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/Appointment") {
				panic(http.ErrAbortHandler)
			}
			w.sandbox.ServeHTTP(rw, r)
		})))
		r, entries := w.batch(w.token("demo-scheduling", demo.TokenOptions{}), "GET Location?_count=1", "GET Appointment?_count=1", "GET Location?_count=1")
		if ends(entries[0]) != "200" || ends(entries[1]) != "502 ehr-unreachable" || ends(entries[2]) != "200" {
			t.Errorf("%s", r.body)
		}
		if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 access 200, 2 refusal 502 ehr-unreachable, 3 access 200, access 200" {
			t.Errorf("records: %s", got)
		}
	})
	for name, speak := range protocols {
		t.Run("within, "+name, func(t *testing.T) {
			s := &stepped{at: 2, then: cut}
			w := newStepped(t, s, withNarrow())
			speak(w)
			r := w.bundle(w.token("demo-scheduling", demo.TokenOptions{}), asking("batch", "GET Location?_count=1", "GET Appointment?_count=1000", "GET Location?_count=1"), "X-Request-Id", "cut")
			if r.status != 200 || r.err == nil || gjson.ValidBytes(r.body) {
				t.Errorf("%d, %d bytes and a neat end", r.status, len(r.body))
			}
			recs := w.records("cut")
			entry, whole := recs[len(recs)-2], recs[len(recs)-1]
			if entry.RequestID != "cut#2" || entry.Kind != accesslog.KindClose || entry.Code != "ehr-cut" || entry.Detail != "aborted" ||
				whole.RequestID != "cut" || whole.Kind != accesslog.KindClose || whole.Code != "ehr-cut" || whole.Detail != "aborted" {
				t.Errorf("records: %s", kinds(recs))
			}
			if s.n.Load() != 2 {
				t.Errorf("the EHR was asked %d times", s.n.Load())
			}
		})
	}
}

// TestBatchLogFails fills the log's disk: before the first entry nothing leaves; after it, the
// answer is cut rather than go on with what cannot be recorded, be it a refusal.
func TestBatchLogFails(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		disk := &fullDisk{}
		fill := func(rw http.ResponseWriter, r *http.Request, sandbox http.Handler) {
			disk.full.Store(true)
			sandbox.ServeHTTP(rw, r)
		}
		w := newStepped(t, &stepped{at: 1, then: fill}, withLog(disk))
		r := w.bundle(w.token("demo-scheduling", demo.TokenOptions{}), asking("batch", "GET Location?_count=1", "GET Location?_count=1"))
		if r.status != 503 || r.code() != "log-unavailable" || r.json().Get("resourceType").String() != "OperationOutcome" {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	for name, second := range map[string]string{"an answer": "GET Location?_count=1", "a refusal": "GET Location/no-such-id"} {
		t.Run("between, "+name, func(t *testing.T) {
			disk := &fullDisk{}
			// The second entry's search for a token that opens to nothing never reaches the EHR, so the first one's own request fills it.
			s := &stepped{at: 2, then: func(rw http.ResponseWriter, r *http.Request, sandbox http.Handler) {
				disk.full.Store(true)
				sandbox.ServeHTTP(rw, r)
			}}
			w := newStepped(t, s, withLog(disk))
			r := w.bundle(w.token("demo-scheduling", demo.TokenOptions{}), asking("batch", "GET Location?_count=1", second, "GET Location?_count=1", second), "X-Request-Id", "full")
			if r.err == nil || gjson.ValidBytes(r.body) {
				t.Errorf("%d %s", r.status, r.body)
			}
			if strings.Count(string(r.body), `"response":`) > 2 || strings.Contains(string(r.body), "log-unavailable") {
				t.Errorf("what is not recorded left: %s", r.body)
			}
			_ = w.close() // it tells of the poisoned log
			disk.full.Store(false)
			w.verify()
			if recs := w.records("full"); recs[0].RequestID != "full#1" || recs[0].Kind != accesslog.KindAccess {
				t.Errorf("records: %s", kinds(recs))
			}
		})
	}
}

// TestBatchClientGoes has the client go while an entry is answered: the others are not served.
func TestBatchClientGoes(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			reached := make(chan struct{})
			s := &stepped{at: 2, then: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
				close(reached)
				<-r.Context().Done() // the gateway has given up
			}}
			w := newStepped(t, s)
			speak(w)
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.fhir, strings.NewReader(asking("batch", "GET Location?_count=1", "GET Appointment?_count=1", "GET Location?_count=1")))
			check(t, err)
			req.Header.Set("Authorization", "Bearer "+w.token("demo-scheduling", demo.TokenOptions{}))
			req.Header.Set("Content-Type", "application/fhir+json")
			req.Header.Set("X-Request-Id", "gone")
			resp, err := w.client.Do(req)
			check(t, err)
			defer resp.Body.Close()
			<-reached
			leave()
			w.until("a closing record", func() bool {
				recs := w.records("gone")
				last := recs[len(recs)-1]
				return last.RequestID == "gone" && last.Kind == accesslog.KindClose && last.Code == "client-gone" && last.Detail == "aborted"
			})
			if got := kinds(w.records("gone")); got != "1 access 200, 2 refusal 499 client-gone, close 200 client-gone" {
				t.Errorf("records: %s", got)
			}
			if s.n.Load() != 2 {
				t.Errorf("the EHR was asked %d times", s.n.Load())
			}
		})
	}
}

// TestBatchTime has one entry take all the time that the batch may: it and those behind it say
// so, each in its place, and the EHR is asked no more.
func TestBatchTime(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			s := &stepped{at: 2, then: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }}
			w := newStepped(t, s, withConfig(func(y string) string {
				return y + "limits: {batch_time: 500ms, read_body_timeout: 200ms, read_header_timeout: 200ms}\n"
			}))
			speak(w)
			r, entries := w.batch(w.token("demo-scheduling", demo.TokenOptions{}), "GET Location?_count=1", "GET Appointment?_count=1", "GET Location?_count=1", "GET Nonsense")
			for i, want := range []string{"200", "504 ehr-timeout", "504 batch-timeout", "404 unknown-type"} {
				if ends(entries[i]) != want {
					t.Errorf("entry %d: %s, want %s", i+1, entries[i].Raw, want)
				}
			}
			if s.n.Load() != 2 {
				t.Errorf("the EHR was asked %d times", s.n.Load())
			}
			if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 access 200, 2 refusal 504 ehr-timeout, 3 refusal 504 batch-timeout, 4 refusal 404 unknown-type, access 200" {
				t.Errorf("records: %s", got)
			}
		})
	}
}

// TestBatchMemory answers a hundred searches in one batch, 12 MB, while the memory that is
// held is watched: it does not grow with what leaves.
func TestBatchMemory(t *testing.T) {
	const entries, size = 100, 128 << 10
	var page bytes.Buffer
	page.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := 0; page.Len() < size; i++ {
		if i > 0 {
			page.WriteByte(',')
		}
		fmt.Fprintf(&page, `{"resource":{"resourceType":"Location","id":"loc-%d","status":"active","name":"Room %d"}}`, i%50, i)
	}
	page.WriteString("]}")
	w := newWorld(t, withEHR(says(page.String())))
	calls := slices.Repeat([]string{"GET Location"}, entries)
	req, err := http.NewRequest(http.MethodPost, w.fhir, strings.NewReader(asking("batch", calls...)))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+w.token("demo-scheduling", demo.TokenOptions{}))
	req.Header.Set("Content-Type", "application/fhir+json")
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	patient := http.Client{Transport: w.client.Transport} // as long as it takes, on a slow machine
	resp, err := patient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	var n, most int64
	before := held()
	for piece := make([]byte, 64<<10); ; {
		got, err := io.ReadFull(resp.Body, piece)
		if n += int64(got); n%(2<<20) < int64(got) {
			most = max(most, held()-before)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		check(t, err)
	}
	if n < entries*size/4 {
		t.Fatalf("only %d bytes came", n)
	}
	if most > 4<<20 {
		t.Errorf("%d bytes more were held while %d left", most, n)
	}
}

// TestBatchQuota counts each entry as a call.
func TestBatchQuota(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits: {calls_per_minute: 3}\n" }))
	r, entries := w.batch(w.token("demo-scheduling", demo.TokenOptions{}), slices.Repeat([]string{"GET Location?_count=1"}, 5)...)
	var got []string
	for _, e := range entries {
		got = append(got, ends(e))
	}
	if strings.Join(got, ", ") != "200, 200, 200, 429 too-many-calls, 429 too-many-calls" {
		t.Errorf("%v", got)
	}
	if got := kinds(w.records(r.header.Get("X-Request-Id"))); got != "1 access 200, 2 access 200, 3 access 200, 4 refusal 429 too-many-calls, 5 refusal 429 too-many-calls, access 200" {
		t.Errorf("records: %s", got)
	}
}
