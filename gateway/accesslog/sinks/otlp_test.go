package sinks_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// exported is ExportLogsServiceRequest of opentelemetry/proto/collector/logs/v1, in JSON, with nothing besides what a
// record uses: a field that is not there is an error.
type exported struct {
	ResourceLogs []struct {
		Resource  struct{ Attributes []attribute }
		ScopeLogs []struct {
			Scope      struct{ Name string }
			LogRecords []struct {
				TimeUnixNano   string
				SeverityNumber int
				SeverityText   string
				Body           struct{ StringValue string }
				Attributes     []attribute
				TraceID        string
			}
		}
	}
}

type attribute struct {
	Key   string
	Value struct{ StringValue string }
}

func TestOTLP(t *testing.T) {
	box := newInbox()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		switch n++; n { // the collector is not always well
		case 1:
			w.WriteHeader(http.StatusTooManyRequests)
			return
		case 2:
			io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"of a patient's name"}}`)
			return
		}
		var e exported
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil || len(e.ResourceLogs) != 1 || len(e.ResourceLogs[0].ScopeLogs) != 1 {
			t.Errorf("%v", err)
			return
		}
		of := e.ResourceLogs[0]
		if got := fmt.Sprint(of.Resource.Attributes); got != "[{service.name {halfdoor}} {host.name {gateway.example}} {halfdoor.origin {gateway.example/audit}}]" {
			t.Errorf("resource %s", got)
		}
		for _, l := range of.ScopeLogs[0].LogRecords {
			rec, err := accesslog.Decode([]byte(l.Body.StringValue))
			if err != nil {
				t.Error(err)
				return
			}
			nanos, err := strconv.ParseInt(l.TimeUnixNano, 10, 64)
			if err != nil || !time.Unix(0, nanos).Equal(rec.Time) {
				t.Errorf("time %s of %s", l.TimeUnixNano, rec.Time)
			}
			if refused := rec.Kind == accesslog.KindRefusal; refused != (l.SeverityNumber == 13) || refused != (l.SeverityText == "WARN") {
				t.Errorf("severity %d %s of a %s", l.SeverityNumber, l.SeverityText, rec.Kind)
			}
			if l.Attributes[0].Key != "halfdoor.seq" || l.Attributes[0].Value.StringValue != fmt.Sprint(rec.Sequence) {
				t.Errorf("attributes %v", l.Attributes)
			}
			if l.TraceID != rec.Trace {
				t.Errorf("trace %q of %q", l.TraceID, rec.Trace)
			}
			box.put(rec.Sequence)
		}
		io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":0}}`)
	}))
	defer server.Close()
	s := newSite(t)
	if _, err := s.log.Append(&accesslog.Record{Kind: accesslog.KindAdmin, Code: "start", Trace: "0af7651916cd43dd8448eb211c80319c"}); err != nil {
		t.Fatal(err)
	}
	s.append(600)
	p, err := sinks.NewOTLP(sinks.OTLPOptions{URL: server.URL + "/v1/logs", Bearer: []byte("secret"), Client: http.DefaultClient, Origin: origin, Host: "gateway.example"})
	if err != nil {
		t.Fatal(err)
	}
	sink, _ := s.start(p)
	box.wait(t, 601)
	if st := until(t, sink, "all to be delivered", func(st sinks.Status) bool { return st.Behind == 0 }); st.Failures != 2 {
		t.Errorf("%+v", st)
	}
	if _, err := sinks.NewOTLP(sinks.OTLPOptions{}); err == nil {
		t.Error("a sink to nowhere")
	}
}
