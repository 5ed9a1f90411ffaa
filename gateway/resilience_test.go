package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// ehrSettings adds keys to the world's one EHR, and then changes the configuration further.
func ehrSettings(lines string, further ...func(string) string) setting {
	return withConfig(func(y string) string {
		y = strings.Replace(y, "    path: /fhir\n", "    path: /fhir\n    "+lines+"\n", 1)
		for _, change := range further {
			y = change(y)
		}
		return y
	})
}

// adminToken is the administrators'.
func (w *world) adminToken() string {
	w.t.Helper()
	token, err := os.ReadFile(w.made.Admin)
	check(w.t, err)
	return string(token)
}

// leave asks, and returns how the client goes away, which waits until it has.
func (w *world) leave(token, path, id string) func() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.fhir+path, nil)
	check(w.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Request-Id", id)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := w.client.Do(req); err == nil {
			resp.Body.Close()
			w.t.Error("the call was answered")
		}
	}()
	return func() { cancel(); <-ended }
}

// waits says whether an answer tells when to come back, in so many seconds at most.
func waits(t *testing.T, r reply, most int) {
	t.Helper()
	if n, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || n < 1 || n > most {
		t.Errorf("Retry-After %q, want 1 to %d", r.header.Get("Retry-After"), most)
	}
}

// TestBreakerOpens has the EHR fail: after a few calls it is left alone and every call is refused at once, reads and
// writes; readiness, status, metrics and the log say so. When it is well again, so are they.
func TestBreakerOpens(t *testing.T) {
	w := newWorld(t, ehrSettings("breaker: {calls: 3, percent: 60, within: 1m, rest: 100ms}"))
	token := w.token("demo-scheduling", demo.TokenOptions{Scopes: []string{"system/*.cruds"}})
	_, _, patient := w.booked(token)
	w.ehr.Set(demo.FaultInternal, 0)
	for range 3 {
		w.refused(w.get(token, "/Location?_count=1"), "a failing EHR", "502 ehr-error")
	}
	// The rest is short, and trials fail: it is open again with each.
	var refused int
	for refused < 2 {
		r := w.get(token, "/Location?_count=1")
		if r.code() == "ehr-error" {
			continue // a trial
		}
		w.refused(r, "left alone", "503 ehr-breaker-open")
		waits(t, r, 1)
		refused++
	}
	w.until("a write is refused as well", func() bool {
		r := w.put("POST", token, "/Communication", reminder(patient, ""))
		if r.code() != "ehr-breaker-open" {
			return false // it was the trial
		}
		recs := w.records(r.header.Get("X-Request-Id"))
		if last := recs[len(recs)-1]; r.status != 503 || last.Kind != accesslog.KindRefusal || last.Code != "ehr-breaker-open" || len(last.Written) != 0 {
			t.Errorf("%d, records %s", r.status, kinds(recs))
		}
		return true
	})
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded: EHR main is left alone") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, body := w.ask("GET", "/metrics", ""); !strings.Contains(body, `halfdoor_ehr_breaker_state{address="`+w.ehrURL+`",ehr="main"} 2`) ||
		!strings.Contains(body, `outcome="ehr-breaker-open"`) {
		t.Error("the metrics do not say so")
	}
	if got := w.breaker(); got != "open" {
		t.Errorf("status: %s", got)
	}
	w.ehr.Set(demo.FaultNone, 0)
	w.until("two trials are answered", func() bool { return w.get(token, "/Location?_count=1").status == 200 && w.breaker() == "closed" })
	if _, body := w.ask("GET", "/readyz", ""); body != "ready\n" {
		t.Errorf("readyz: %s", body)
	}
	log := w.operator.String()
	for _, change := range []string{`"from":"closed","to":"open"`, `"from":"open","to":"half-open"`, `"from":"half-open","to":"closed"`} {
		if !strings.Contains(log, `"ehr":"main","address":"`+w.ehrURL+`",`+change) {
			t.Errorf("the log lacks %s", change)
		}
	}
}

// breaker is the state that /status tells of the EHR's first address.
func (w *world) breaker() string {
	_, body := w.ask("GET", "/status", w.adminToken())
	return gjson.Get(body, "ehrs.0.addresses.0.breaker").String()
}

// TestReloadKeepsTheBreaker reloads while the EHR is left alone: it goes on being left alone, and a new setting of
// its breaker begins anew.
func TestReloadKeepsTheBreaker(t *testing.T) {
	w := newWorld(t, ehrSettings("breaker: {calls: 2, percent: 100, within: 1m, rest: 10m}"))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.ehr.Set(demo.FaultDead, 0)
	for range 2 {
		w.refused(w.get(token, "/Location?_count=1"), "a dead EHR", "502 ehr-unreachable")
	}
	w.ehr.Set(demo.FaultNone, 0)
	reload := func(change func(string) string) {
		t.Helper()
		w.edit("halfdoor.yaml", change)
		if status, body := w.ask("POST", "/reload", w.adminToken()); status != 200 {
			t.Fatal(status, body)
		}
	}
	reload(func(y string) string {
		return strings.Replace(y, "    path: /fhir\n", "    path: /fhir\n    retries: 1\n", 1)
	})
	r := w.get(token, "/Location?_count=1")
	w.refused(r, "after a reload", "503 ehr-breaker-open")
	waits(t, r, 11*60)
	reload(func(y string) string { return strings.Replace(y, "calls: 2,", "calls: 3,", 1) })
	if r := w.get(token, "/Location?_count=1"); r.status != 200 {
		t.Errorf("with another breaker: %d %s", r.status, r.body)
	}
}

// TestTheEHRIsBusy hands on what the EHR says of when to come back, and keeps to it.
func TestTheEHRIsBusy(t *testing.T) {
	w := newWorld(t, ehrSettings("breaker: {calls: 100, percent: 100, within: 1m, rest: 10m}"))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	w.ehr.Set(demo.FaultThrottled, 0)
	for n := range 3 { // a 429 is of this call alone: each is asked
		r := w.get(token, "/Location?_count=1")
		w.refused(r, "429", "429 ehr-busy")
		if r.header.Get("Retry-After") != "3" || w.ehr.Requests() != n+1 {
			t.Errorf("Retry-After %q after %d requests", r.header.Get("Retry-After"), w.ehr.Requests())
		}
	}
	w.ehr.Set(demo.FaultBusy, 0)
	r := w.get(token, "/Location?_count=1")
	w.refused(r, "503", "503 ehr-busy")
	if r.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	w.ehr.Set(demo.FaultNone, 0)
	asked := w.ehr.Requests()
	r = w.get(token, "/Location?_count=1")
	w.refused(r, "within its time", "503 ehr-busy")
	waits(t, r, 7)
	if w.ehr.Requests() != asked {
		t.Error("the EHR was asked within its time")
	}
}

// TestASlowEHRHoldsOnlyItsShare has one of two EHRs hang: its calls take its turns, wait or are refused, and the other
// EHR's calls go on as if nothing were.
func TestASlowEHRHoldsOnlyItsShare(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) { slowEHR(t, speak) })
	}
}

func slowEHR(t *testing.T, speak func(*world)) {
	var w *world
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.sandbox.ServeHTTP(rw, r) }))
	defer other.Close()
	w = newWorld(t, ehrSettings("load: {requests: 4, queue: 2, wait: 10s}", func(y string) string {
		first := regexp.MustCompile(`base_url: (.*)`).FindStringSubmatch(y)[1] // by which the sandbox names its resources
		second := "  - {name: west, path: /west, base_url: \"" + other.URL + demo.BasePath + "\", aliases: [" + first + "]}\n"
		return strings.Replace(y, "issuers:\n", second+"issuers:\n", 1) + "limits: {concurrent_requests: 8}\n"
	}))
	speak(w)
	token := w.token("demo-scheduling", demo.TokenOptions{})
	west := strings.TrimSuffix(w.fhir, "/fhir") + "/west"
	w.ehr.Set(demo.FaultStall, 0)
	var hung sync.WaitGroup
	for range 6 {
		hung.Go(func() { _ = w.get(token, "/Location?_count=1") })
	}
	w.until("four requests and two that wait", func() bool {
		_, body := w.ask("GET", "/status", w.adminToken())
		return gjson.Get(body, "ehrs.0.requests").Int() == 4 && gjson.Get(body, "ehrs.0.waiting").Int() == 2
	})
	for range 3 {
		r := w.get(token, "/Location?_count=1")
		w.refused(r, "beyond its share", "503 ehr-full")
		waits(t, r, 1)
		if r := w.get(token, west+"/Location?_count=1"); r.status != 200 || len(r.json().Get("entry").Array()) != 1 {
			t.Errorf("the other EHR: %d %s", r.status, r.body)
		}
	}
	if w.ehr.Requests() != 4 {
		t.Errorf("the EHR that hangs was asked %d times", w.ehr.Requests())
	}
	_, body := w.ask("GET", "/metrics", "")
	for _, line := range []string{`halfdoor_ehr_requests{ehr="main",state="under way"} 4`, `halfdoor_ehr_requests{ehr="main",state="waiting"} 2`} {
		if !strings.Contains(body, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	w.ehr.Set(demo.FaultNone, 0)
	w.ehr.Release()
	hung.Wait()
	if r := w.get(token, "/Location?_count=1"); r.status != 200 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// TestAClientsDisconnect cancels the EHR's work for a read, and gives its turn back.
func TestAClientsDisconnect(t *testing.T) {
	for name, speak := range protocols {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{}, 1)
			w := newWorld(t, withEHR(hang(gone)), ehrSettings("load: {requests: 1, queue: 0}"))
			speak(w)
			token := w.token("demo-scheduling", demo.TokenOptions{})
			for n := range 2 {
				id := fmt.Sprintf("gone-%d", n)
				leave := w.leave(token, "/Location?_count=1", id)
				w.until("the EHR works", func() bool { return w.ehr.Requests() == n+1 })
				leave()
				<-gone
				w.until("the record", func() bool {
					recs := w.records(id)
					return len(recs) == 1 && recs[0].Code == "client-gone" && recs[0].Kind == accesslog.KindRefusal
				})
			}
		})
	}
}
