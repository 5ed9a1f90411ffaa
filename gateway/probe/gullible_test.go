package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/probe"
)

// gullible stands before the sandbox EHR and makes the mistakes that the EHR itself does not.
type gullible struct {
	ehr  *demo.EHR
	base string
}

// answer asks the EHR.
func (g *gullible) answer(method, target, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.RequestURI = ""
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	g.ehr.ServeHTTP(w, r)
	return w
}

func (g *gullible) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Host != "" || strings.HasPrefix(r.RequestURI, "//127") { // absolute form: a helpful proxy
		fetch(w, "http://"+strings.TrimPrefix(strings.TrimPrefix(r.RequestURI, "http://"), "//"))
		return
	}
	method := r.Method
	if o := r.Header.Get("X-HTTP-Method-Override"); o != "" {
		method = o
	}
	q := r.URL.Query()
	if method == http.MethodPost && len(q) > 0 && strings.HasSuffix(r.URL.Path, "_search") {
		body = nil // the query is enough
	}
	below := strings.TrimPrefix(path.Clean(r.URL.Path), demo.BasePath)
	switch {
	case strings.Contains(below, "$graphql"):
		fmt.Fprint(w, `{"data":{"Patient":{"id":"1"}}}`)
		return
	case strings.Contains(below, "$export"):
		w.Header().Set("Content-Location", g.base+"/export/1")
		w.WriteHeader(http.StatusAccepted)
		return
	case strings.Contains(below, "$"):
		below, method, q = strings.TrimSuffix(path.Dir(below), "/"), http.MethodGet, url.Values{}
	}
	if id, ok := strings.CutPrefix(below, "/Patient/"); ok && method == http.MethodGet {
		for _, known := range g.ehr.IDs("Patient") { // by its beginning
			if strings.HasPrefix(id, known) {
				below = "/Patient/" + known
			}
		}
	}
	include := q.Get("_include") != ""
	word := q.Get("_text") + q.Get("_content")
	if f := strings.Fields(q.Get("_filter")); len(f) == 3 {
		q.Set(f[0], strings.TrimPrefix(f[1], "eq")+f[2])
	}
	for _, ignored := range []string{"x", "_filter", "_text", "_content", "_query", "_list", "_contained", "_containedType", "_elements", "_include"} {
		q.Del(ignored)
	}
	got := g.answer(method, g.base+(&url.URL{Path: below}).EscapedPath()+"?"+q.Encode(), r.Header.Get("Content-Type"), body)
	answer := got.Body.Bytes()
	if word != "" && !bytes.Contains(answer, []byte(word)) {
		answer = []byte(`{"resourceType":"Bundle","type":"searchset"}`)
	}
	if u := gjson.GetBytes(answer, `entry.0.resource.participant.0.actor.reference`).Str; include && strings.HasPrefix(u, "http://127") {
		fetch(httptest.NewRecorder(), u)
	}
	if r.Method == http.MethodGet && gjson.GetBytes(answer, "resourceType").Str == "Patient" {
		answer, _ = sjson.DeleteBytes(answer, "address") // it filters, but for writes
	}
	w.Header().Set("Content-Type", got.Header().Get("Content-Type"))
	w.Header().Set("Content-Location", "http://"+r.Host+"/somewhere")
	answer = bytes.ReplaceAll(answer, []byte(g.base), []byte("http://"+r.Host+demo.BasePath))
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", "4711")
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(answer) // the client may have hung up
}

// fetch hands on what another server says.
func fetch(w http.ResponseWriter, address string) {
	resp, err := http.Get(address)
	if err != nil {
		http.Error(w, "no", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(w, resp.Body) // the client may have hung up
}

// TestGullible attacks a gateway that falls for what the EHR does not know: every check that
// the bare EHR passes can fail.
func TestGullible(t *testing.T) {
	g := &gullible{ehr: demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 10})}
	behind := httptest.NewServer(g.ehr)
	defer behind.Close()
	front := httptest.NewServer(g)
	defer front.Close()
	g.base = behind.URL + demo.BasePath
	g.ehr.SetBaseURL(g.base)
	elsewhere := map[string]bool{"wire/te-cl": true, "wire/h2-resets": true, "wire/failure": true} // below
	o := probe.Options{URL: front.URL + demo.BasePath, Token: "any", PatientToken: "held", Patient: g.ehr.IDs("Patient")[0], EHR: g.base, Dataset: dataset(t, "scheduling")}
	for _, name := range passesBare {
		if !elsewhere[name] {
			o.Only = append(o.Only, name)
		}
	}
	report, err := probe.Run(context.Background(), o)
	check(t, err)
	if len(report.Results) != len(passesBare)-len(elsewhere) {
		t.Errorf("%d results", len(report.Results))
	}
	for _, r := range report.Results {
		if r.OK || r.Skipped != "" {
			t.Errorf("%s passes: %s%s", r.Name, r.Evidence, r.Skipped)
		}
	}
}

// TestTwoAnswers attacks a server that believes in whatever length shows it more requests.
func TestTwoAnswers(t *testing.T) {
	e := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 10})
	behind := httptest.NewServer(e)
	defer behind.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go twice(conn, e)
		}
	}()
	report, err := probe.Run(context.Background(), probe.Options{URL: "http://" + l.Addr().String() + demo.BasePath, Token: "any", Only: []string{"wire/cl-te", "wire/te-*", "wire/get-body", "wire/obs-fold", "wire/bare-lf"}})
	check(t, err)
	if len(report.Results) != 6 {
		t.Errorf("%d results", len(report.Results))
	}
	for _, r := range report.Results {
		if r.OK {
			t.Errorf("%s passes: %s", r.Name, r.Evidence)
		}
	}
}

// twice answers a request, and what follows it as another.
func twice(conn net.Conn, h http.Handler) {
	defer conn.Close()
	for {
		in := bufio.NewReader(conn)
		first, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fields := strings.Fields(first)
		r := httptest.NewRequest(http.MethodGet, "http://x"+fields[1], nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		n := 1
		if fields[0] == http.MethodPost || strings.Contains(first, "_count=1 ") {
			n = 2
		}
		for range n {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n%s", w.Body.Len(), w.Body)
		}
		for line := first; line != "\r\n"; { // the rest of the head; what follows it is lost
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
	}
}

// TestDrowned attacks a server that answers nobody once streams were reset.
func TestDrowned(t *testing.T) {
	e := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 10})
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/metadata") && asked.Add(1) > 1 { // the first is before the resets
			<-r.Context().Done()
			return
		}
		e.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{}
	s.StartTLS()
	defer s.Close()
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	report, err := probe.Run(context.Background(), probe.Options{URL: s.URL + demo.BasePath, Token: "any", Roots: roots, Timeout: 3 * time.Second, Only: []string{"wire/h2-resets"}})
	check(t, err)
	if report.Results[0].OK || !strings.Contains(report.Results[0].Evidence, "streams were reset") {
		t.Errorf("%+v", report.Results)
	}
}

// TestFailure attacks a server that fails at what it does not expect.
func TestFailure(t *testing.T) {
	_, base := sandbox(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.RawQuery, "_sort") {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	report, err := probe.Run(context.Background(), probe.Options{URL: base, Token: "any", Only: []string{"leak/sort", "wire/failure"}})
	check(t, err)
	if last := report.Results[1]; last.OK || !strings.Contains(last.Evidence, "500: GET /Patient?_count=50&_sort=") {
		t.Errorf("%+v", last)
	}
}
