package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/probe"
)

// sandbox is an EHR behind a handler; wrap may be nil.
func sandbox(t *testing.T, wrap func(http.Handler) http.Handler) (*demo.EHR, string) {
	t.Helper()
	e := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 10})
	var h http.Handler = e
	if wrap != nil {
		h = wrap(e)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	e.SetBaseURL(s.URL + demo.BasePath)
	return e, s.URL + demo.BasePath
}

func TestWrongUse(t *testing.T) {
	for name, o := range map[string]probe.Options{
		"no URL":          {Token: "x"},
		"no token":        {URL: "http://127.0.0.1:1/fhir"},
		"another scheme":  {URL: "ftp://127.0.0.1/fhir", Token: "x"},
		"a query":         {URL: "http://127.0.0.1:1/fhir?x=y", Token: "x"},
		"a password":      {URL: "http://a:b@127.0.0.1:1/fhir", Token: "x"},
		"an EHR's query":  {URL: "http://127.0.0.1:1/fhir", Token: "x", EHR: "http://127.0.0.1:1/fhir?x"},
		"no such check":   {URL: "http://127.0.0.1:1/fhir", Token: "x", Only: []string{"leek/*"}},
		"a broken patter": {URL: "http://127.0.0.1:1/fhir", Token: "x", Only: []string{"leak/[*"}},
	} {
		if report, err := probe.Run(context.Background(), o); !errors.Is(err, probe.ErrUsage) || report != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnreachable has gateways and EHRs of which nothing can be said: an error, and no failed
// check.
func TestUnreachable(t *testing.T) {
	_, good := sandbox(t, nil)
	_, closed := sandbox(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	})
	_, reading := sandbox(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	_, busy := sandbox(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	})
	const nobody = "http://127.0.0.1:1/fhir"
	for _, c := range []struct{ name, url, ehr, what, text string }{
		{"no gateway", nobody, "", "gateway", "connection refused"},
		{"no EHR", good, nobody, "EHR", "connection refused"},
		{"an EHR that cannot be written", good, reading, "EHR", "405"},
		{"a token that is given nothing", closed, "", "gateway", "nothing to judge"},
		{"a limit of calls", busy, "", "gateway", "429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := probe.Run(context.Background(), probe.Options{URL: c.url, EHR: c.ehr, Token: "x"})
			var u *probe.Unreachable
			if !errors.As(err, &u) || u.What != c.what || !strings.Contains(err.Error(), c.text) || report != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestItEnds stops runs in the middle: nothing is graded, and nothing is left at the EHR.
func TestItEnds(t *testing.T) {
	for name, change := range map[string]func(*probe.Options, context.CancelFunc) func(int64){
		"by its limit of requests": func(o *probe.Options, _ context.CancelFunc) func(int64) {
			o.Most = 90
			return func(int64) {}
		},
		"by whoever began it": func(_ *probe.Options, cancel context.CancelFunc) func(int64) {
			return func(n int64) {
				if n == 90 {
					cancel()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var asked atomic.Int64
			var each func(int64)
			e, base := sandbox(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					each(asked.Add(1))
					h.ServeHTTP(w, r)
				})
			})
			o := probe.Options{URL: base, EHR: base, Token: "x", Only: []string{"leak/*"}}
			each = change(&o, cancel)
			before := resources(e)
			report, err := probe.Run(ctx, o)
			if err == nil || report != nil {
				t.Errorf("%v %v", report, err)
			}
			if after := resources(e); !slices.Equal(before, after) {
				t.Errorf("%d resources are there, before %d", len(after), len(before))
			}
			if n := asked.Load(); n > 250 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestNowhereElse has a gateway that sends its clients to another place, in every way it can.
func TestNowhereElse(t *testing.T) {
	var called atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	defer other.Close()
	var asked atomic.Int64
	_, base := sandbox(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1)%7 == 0 {
				http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			w.Header().Set("Location", other.URL+"/fhir/Patient/1")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(bytes.ReplaceAll(rec.Body.Bytes(), []byte("http://"+r.Host), []byte(other.URL))) // the client may have hung up
		})
	})
	report, err := probe.Run(context.Background(), probe.Options{URL: base, Token: "x", Other: "y", Only: []string{"leak/*"}})
	check(t, err)
	if n := called.Load(); n > 0 {
		t.Errorf("another server was called %d times", n)
	}
	if i := slices.IndexFunc(report.Results, func(r probe.Result) bool { return r.Name == "leak/full-url" }); report.Results[i].OK {
		t.Error("the other server's addresses were not seen")
	}
}

// TestNoRealData grades an EHR without planting anything: what it finds is real data then, and
// none of it may be in the report.
func TestNoRealData(t *testing.T) {
	e, base := sandbox(t, nil)
	report, err := probe.Run(context.Background(), probe.Options{URL: base, Token: "x", PatientToken: "y", Patient: e.IDs("Patient")[0], Only: []string{"leak/*", "refuse/*"}})
	check(t, err)
	if _, leaks := report.Failed(); leaks < 20 {
		t.Errorf("%d leaks were found", leaks)
	}
	var b bytes.Buffer
	check(t, report.WriteText(&b))
	check(t, report.WriteJSON(&b))
	text := b.String()
	for _, kind := range e.Types() {
		for _, id := range e.IDs(kind) {
			if len(id) > 5 && strings.Contains(text, id) {
				t.Errorf("the id of a %s is in the report", kind)
			}
		}
	}
	for _, id := range e.IDs("Patient") {
		body, _ := e.Resource("Patient", id)
		for _, path := range []string{"name.0.family", "name.0.given.0", "birthDate", "telecom.0.value", "address.0.line.0", "identifier.0.value"} {
			if v := gjson.GetBytes(body, path).Str; v != "" && strings.Contains(text, v) {
				t.Errorf("Patient.%s is in the report", path)
			}
		}
	}
	for _, word := range demo.ClinicalWords() {
		if strings.Contains(strings.ToLower(text), word) {
			t.Errorf("%q is in the report", word)
		}
	}
}

func TestReport(t *testing.T) {
	result := func(name string, ok bool) probe.Result {
		return probe.Result{Check: probe.Check{Name: name, Sentence: "Something was tried.", Advice: "Do something."}, OK: ok, Evidence: "seen"}
	}
	skipped := probe.Result{Check: probe.Check{Name: "leak/skipped"}, Skipped: "needs the EHR"}
	good, leak, wire := result("leak/a", true), result("leak/b", false), result("wire/c", false)
	for _, c := range []struct {
		results []probe.Result
		grade   string
	}{
		{[]probe.Result{good, skipped}, "A"}, {[]probe.Result{good, wire}, "B"}, {[]probe.Result{wire, wire, wire}, "C"},
		{[]probe.Result{good, leak, wire}, "D"}, {[]probe.Result{leak, leak}, "F"},
	} {
		r := probe.Report{Results: c.results}
		if r.Grade() != c.grade {
			t.Errorf("grade %s, want %s", r.Grade(), c.grade)
		}
	}
	r := probe.Report{URL: "https://gateway.example/fhir", Dataset: "scheduling", Canaries: 3, Results: []probe.Result{good, leak, wire, skipped}, Notes: []string{"a note"}, Requests: 12}
	var text, lines bytes.Buffer
	check(t, r.WriteText(&text))
	for _, want := range []string{"https://gateway.example/fhir, judged by dataset scheduling, with 3 canaries", "What must stay hidden\n  ok    leak/a ", "FAIL  leak/b ", "tried: Something was tried.", "to do: Do something.",
		"HTTP itself\n  FAIL  wire/c ", "--    leak/skipped ", "Note: a note\n", "Grade D: 1 of 3 checks passed, 2 failed, 1 of them leaks; 1 could not be made (12 requests)\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	check(t, r.WriteJSON(&lines))
	if want := `{"name":"leak/a","ok":true,"evidence":"seen"}
{"name":"leak/b","ok":false,"evidence":"seen"}
{"name":"wire/c","ok":false,"evidence":"seen"}
{"name":"leak/skipped","ok":null,"evidence":"","skipped":"needs the EHR"}
`; lines.String() != want {
		t.Errorf("lines\n%s", lines.String())
	}
	for line := range strings.Lines(lines.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// TestList holds the list to the attacks that are asked for, in their words.
func TestList(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range probe.Checks() {
		group, _, _ := strings.Cut(c.Name, "/")
		if seen[c.Name] || c.Attack == "" || c.Advice == "" || !strings.HasSuffix(c.Sentence, ".") || !slices.Contains([]string{"leak", "refuse", "wire"}, group) {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
	var list bytes.Buffer
	check(t, probe.WriteList(&list))
	for _, words := range []string{
		"include leaks", "reverse-include leaks", "_include:iterate", "_has:Observation:patient:code", "search oracles: birthdate", "_sort on hidden elements", "chains into hidden types", "_filter", "_text",
		"_elements widening", "POST _search whose body and query disagree", "wrong content types", "repeated parameters", "id prefix confusion (Patient/1 and Patient/12)", "?x=/metadata",
		"percent-encoded types and dots", "//", "absolute-form", "Host tricks", "method override headers", "Range", "HEAD", "_format=xml", "_pretty", "absolute or protocol-relative URLs in batch entries",
		"absolute or protocol-relative URLs in included references", "paging links forged", "paging links stolen from another client", "$everything", "$graphql", "$export", "unknown operations at every level",
		"history of a deleted patient", "history of a foreign patient", "Observation.focus taken for compartment membership", "fullUrl", "Location", "OperationOutcome.diagnostics", "text.div", "contained", "extension",
		"Coding.display", "reference.display", "CL.TE", "TE.CL", "obs-fold", "bare LF", "oversized headers", "oversized bodies", "slow headers", "slow bodies", "HTTP/2 resets",
	} {
		if !strings.Contains(list.String(), words) {
			t.Errorf("no check tries %q", words)
		}
	}
}

func TestTokenIsSecret(t *testing.T) {
	const secret = "abc.def.ghi"
	for _, text := range []string{fmt.Sprint(probe.Token(secret)), fmt.Sprintf("%s %q %x %+v", probe.Token(secret), probe.Token(secret), probe.Token(secret), probe.Options{Token: secret, EHRToken: secret})} {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s", text)
		}
	}
}

// TestTimes bounds a gateway that does not answer: for one request, and for all.
func TestTimes(t *testing.T) {
	silent := func(to string) string {
		_, base := sandbox(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.String(), to) {
					<-r.Context().Done()
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		return base
	}
	var u *probe.Unreachable
	if _, err := probe.Run(context.Background(), probe.Options{URL: silent("/metadata"), Token: "x", Timeout: 100 * time.Millisecond}); !errors.As(err, &u) {
		t.Errorf("one request: %v", err)
	}
	if _, err := probe.Run(context.Background(), probe.Options{URL: silent("_sort"), Token: "x", Timeout: time.Hour, Limit: 2 * time.Second, Only: []string{"leak/sort"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("all: %v", err)
	}
}
