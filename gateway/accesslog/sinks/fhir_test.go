package sinks_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog/balp"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// A repository is a FHIR server that takes batches of updates. answer may break its answers.
type repository struct {
	*inbox
	t      *testing.T
	mu     sync.Mutex
	events map[string]string
	puts   int
	answer func(w http.ResponseWriter, entries []gjson.Result) bool
}

func (p *repository) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b := gjson.ParseBytes(body)
	if r.Method != http.MethodPost || r.URL.Path != "/fhir" || r.Header.Get("Content-Type") != "application/fhir+json" || r.Header.Get("Authorization") != "Bearer secret" ||
		b.Get("resourceType").String() != "Bundle" || b.Get("type").String() != "batch" {
		p.t.Errorf("%s %s %s", r.Method, r.URL, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	entries := b.Get("entry").Array()
	if p.answer != nil && p.answer(w, entries) {
		return
	}
	var told []map[string]any
	for _, e := range entries {
		id := e.Get("resource.id").String()
		if e.Get("request.method").String() != "PUT" || e.Get("request.url").String() != "AuditEvent/"+id {
			p.t.Errorf("asks %s for %s", e.Get("request").Raw, id)
		}
		if was, ok := p.events[id]; ok && was != e.Get("resource").Raw {
			p.t.Errorf("the event %s has changed", id)
		}
		p.events[id] = e.Get("resource").Raw
		p.puts++
		var seq int64
		fmt.Sscanf(e.Get(`resource.entity.#(what.identifier.system=="urn:halfdoor:record").what.identifier.value`).String(), origin+"#%d", &seq)
		p.put(seq)
		told = append(told, map[string]any{"response": map[string]string{"status": "201 Created"}})
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	json.NewEncoder(w).Encode(map[string]any{"resourceType": "Bundle", "type": "batch-response", "entry": told})
}

func fhirPeer(t *testing.T, base string) *sinks.FHIR {
	t.Helper()
	m, err := balp.New(balp.Options{Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	p, err := sinks.NewFHIR(sinks.FHIROptions{BaseURL: base, Bearer: []byte("secret"), Client: http.DefaultClient, Events: m})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFHIR(t *testing.T) {
	p := &repository{inbox: newInbox(), t: t, events: map[string]string{}}
	server := httptest.NewServer(p)
	defer server.Close()
	s := newSite(t)
	s.append(250)
	sink, stop := s.start(fhirPeer(t, server.URL+"/fhir/"))
	p.wait(t, 250)
	until(t, sink, "all to be delivered", func(st sinks.Status) bool { return st.Behind == 0 })
	stop()
	if len(p.events) != 250 || p.puts != 250 {
		t.Errorf("%d events by %d updates", len(p.events), p.puts)
	}
}

// TestFHIRThatRefuses goes on with the batch until all of it was taken, and makes nothing twice.
func TestFHIRThatRefuses(t *testing.T) {
	refusals := []func(http.ResponseWriter, []gjson.Result) bool{
		func(w http.ResponseWriter, _ []gjson.Result) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		func(w http.ResponseWriter, _ []gjson.Result) bool { io.WriteString(w, "<html>"); return true },
		func(w http.ResponseWriter, _ []gjson.Result) bool {
			io.WriteString(w, `{"resourceType":"Bundle","type":"batch-response","entry":[]}`)
			return true
		},
		func(w http.ResponseWriter, e []gjson.Result) bool {
			io.WriteString(w, `{"resourceType":"Bundle","type":"batch-response","entry":[`+strings.Repeat(`{"response":{"status":"200"}},`, len(e)-1)+`{"response":{"status":"422 of a patient's name"}}]}`)
			return true
		},
	}
	n := 0
	p := &repository{inbox: newInbox(), t: t, events: map[string]string{}}
	p.answer = func(w http.ResponseWriter, e []gjson.Result) bool {
		if n++; n%2 == 0 && n/2 <= len(refusals) { // every second one, so that a part has come
			return refusals[n/2-1](w, e)
		}
		return false
	}
	server := httptest.NewServer(p)
	defer server.Close()
	s := newSite(t)
	s.append(250)
	sink, _ := s.start(fhirPeer(t, server.URL+"/fhir"))
	p.wait(t, 250)
	st := until(t, sink, "all to be delivered", func(st sinks.Status) bool { return st.Behind == 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events) != 250 || st.Failures != 4 || p.puts <= 250 {
		t.Errorf("%d events by %d updates, %+v", len(p.events), p.puts, st)
	}
}
