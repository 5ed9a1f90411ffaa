package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

func TestFaults(t *testing.T) {
	e := newEHR(5)
	f := demo.NewFaulty(e)
	server := httptest.NewServer(f)
	defer server.Close()
	id := e.IDs("Patient")[0]
	whole, _ := e.Resource("Patient", id)

	for _, tt := range []struct {
		name   string
		fault  demo.Fault
		after  int
		status int // 0: no answer at all
		cut    bool
		body   string // a part of it
		valid  bool
	}{
		{name: "none", fault: demo.FaultNone, status: 200, body: string(whole), valid: true},
		{name: "dead", fault: demo.FaultDead},
		{name: "cut", fault: demo.FaultCut, status: 200, cut: true, body: `{"resourceType":"Patient"`},
		{name: "cut early", fault: demo.FaultCut, after: 9, status: 200, cut: true, body: `{"resourc`},
		{name: "html", fault: demo.FaultHTML, status: 200, body: "<!doctype html>"},
		{name: "unauthorized", fault: demo.FaultUnauthorized, status: 401, body: "login", valid: true},
		{name: "forbidden", fault: demo.FaultForbidden, status: 403, body: "forbidden", valid: true},
		{name: "internal", fault: demo.FaultInternal, status: 500, body: "NullPointer", valid: true},
		{name: "busy", fault: demo.FaultBusy, status: 503, body: "transient", valid: true},
		{name: "throttled", fault: demo.FaultThrottled, status: 429, body: "throttled", valid: true},
		{name: "invalid JSON", fault: demo.FaultInvalidJSON, status: 200, body: `{"resourceType":"Patient"`},
		{name: "wrong", fault: demo.FaultWrong, status: 200, body: "somebody-else", valid: true},
		{name: "redirect", fault: demo.FaultRedirect, status: 302, body: "moved"},
		{name: "xml", fault: demo.FaultXML, status: 200, body: "<Patient"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.Set(tt.fault, tt.after)
			resp, err := http.DefaultTransport.RoundTrip(request(t.Context(), server.URL+"/fhir/Patient/"+id))
			if tt.status == 0 {
				if err == nil {
					t.Fatal("answered")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if (err != nil) != tt.cut || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) || json.Valid(body) != tt.valid {
				t.Errorf("%d %v %s", resp.StatusCode, err, body)
			}
			if tt.after > 0 && len(body) != tt.after {
				t.Errorf("cut after %d", len(body))
			}
		})
	}
	if f.Requests() == 0 {
		t.Error("no requests counted")
	}
}

func request(ctx context.Context, url string) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	return r
}

func TestStall(t *testing.T) {
	e := newEHR(5)
	f := demo.NewFaulty(e)
	server := httptest.NewServer(f)
	defer server.Close()
	url := server.URL + "/fhir/Patient/" + e.IDs("Patient")[0]

	f.Set(demo.FaultStall, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := http.DefaultTransport.RoundTrip(request(ctx, url)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stall: %v", err)
	}

	f.Set(demo.FaultStallBody, 20)
	resp, err := http.DefaultTransport.RoundTrip(request(t.Context(), url))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start := make([]byte, 20)
	if _, err := io.ReadFull(resp.Body, start); err != nil || !strings.HasPrefix(string(start), `{"resourceType"`) {
		t.Fatalf("%q %v", start, err)
	}
	f.Release()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a released stall ended neatly")
	}
}

// A lost answer is to a request that was carried out, and only the methods that
// are named fail.
func TestLost(t *testing.T) {
	e := newEHR(5)
	f := demo.NewFaulty(e)
	server := httptest.NewServer(f)
	defer server.Close()
	id := e.IDs("Task")[0]
	before, _ := e.Resource("Task", id)

	f.Set(demo.FaultLost, 0, http.MethodPut)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/fhir/Task/"+id, strings.NewReader(string(before)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	if _, err := http.DefaultTransport.RoundTrip(r); err == nil {
		t.Error("a lost answer came")
	}
	resp, err := http.DefaultTransport.RoundTrip(request(t.Context(), server.URL+"/fhir/Task/"+id))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), `"versionId":"3"`) {
		t.Errorf("%v %s", err, body)
	}
}
