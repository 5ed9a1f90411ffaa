package sinks_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// decode reads an ExportLogsServiceRequest of opentelemetry/proto/collector/logs/v1, of which LogsData is the one field, by the
// types that collectors are made of. OTLP/JSON has a trace's id in hex where the JSON of protocol buffers has base64: it comes back as it was.
func decode(body []byte) (*logs.LogsData, error) {
	var of logs.LogsData
	if err := protojson.Unmarshal(body, &of); err != nil { // a name that is not known is an error
		return nil, err
	}
	for _, resource := range of.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, l := range scope.LogRecords {
				id, err := hex.DecodeString(base64.StdEncoding.EncodeToString(l.TraceId))
				if err != nil || len(id) != 0 && len(id) != 16 {
					return nil, fmt.Errorf("a trace's id of %d bytes: %w", len(id), err)
				}
				l.TraceId = id
			}
		}
	}
	return &of, nil
}

// texts are attributes that are all strings, by their keys.
func texts(t *testing.T, all []*common.KeyValue) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, a := range all {
		v, ok := a.Value.Value.(*common.AnyValue_StringValue)
		if _, twice := got[a.Key]; !ok || twice || a.Key == "" || v.StringValue == "" {
			t.Errorf("attribute %v", a)
			continue
		}
		got[a.Key] = v.StringValue
	}
	return got
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
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		e, err := decode(body)
		if err != nil || len(e.ResourceLogs) != 1 || len(e.ResourceLogs[0].ScopeLogs) != 1 {
			t.Errorf("%v", err)
			return
		}
		of := e.ResourceLogs[0]
		if got := fmt.Sprint(texts(t, of.Resource.Attributes)); got != "map[halfdoor.origin:gateway.example/audit host.name:gateway.example service.name:halfdoor]" {
			t.Errorf("resource %s", got)
		}
		if name := of.ScopeLogs[0].Scope.Name; name != "halfdoor.accesslog" {
			t.Errorf("scope %q", name)
		}
		for _, l := range of.ScopeLogs[0].LogRecords {
			rec, err := accesslog.Decode([]byte(l.Body.GetStringValue()))
			if err != nil {
				t.Error(err)
				return
			}
			want := rec.Time
			if want.Before(time.Unix(0, 0)) {
				want = time.Unix(0, 0)
			}
			if !time.Unix(0, int64(l.TimeUnixNano)).Equal(want) {
				t.Errorf("time %d of %s", l.TimeUnixNano, rec.Time)
			}
			severity, text := logs.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
			if rec.Kind == accesslog.KindRefusal {
				severity, text = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
			}
			if l.SeverityNumber != severity || l.SeverityText != text {
				t.Errorf("severity %d %s of a %s", l.SeverityNumber, l.SeverityText, rec.Kind)
			}
			attributes := texts(t, l.Attributes)
			if attributes["halfdoor.seq"] != fmt.Sprint(rec.Sequence) || attributes["halfdoor.kind"] != string(rec.Kind) || attributes["halfdoor.ticket"] != rec.Ticket.ID {
				t.Errorf("attributes %v", attributes)
			}
			if hex.EncodeToString(l.TraceId) != rec.Trace {
				t.Errorf("trace %x of %q", l.TraceId, rec.Trace)
			}
			box.put(rec.Sequence)
		}
		io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":0}}`)
	}))
	defer server.Close()
	s := newSite(t)
	for _, r := range []*accesslog.Record{
		{Kind: accesslog.KindAdmin, Code: "start", Trace: "0af7651916cd43dd8448eb211c80319c"},
		{Kind: accesslog.KindRefusal, Code: "token-expired", Ticket: accesslog.Ticket{ID: "INC-\u2028\"<\\\x00é"}},
		{Kind: accesslog.KindAdmin, Time: time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := s.log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	s.append(598)
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

// TestOTLPBelievesNoStranger has something answer 200 that is no collector.
func TestOTLPBelievesNoStranger(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		good   bool
	}{
		"a login page":   {"<html>Sign in, please</html>", false},
		"a cut answer":   {`{"partialSuccess":{"rejected`, false},
		"a list":         {"[]", false},
		"without an end": {strings.Repeat("x", 9<<20), false},
		"an object":      {" {}\n", true},
		"nothing":        {"", true},
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tt.answer) }))
		p, err := sinks.NewOTLP(sinks.OTLPOptions{URL: server.URL, Client: server.Client(), Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Send(t.Context(), []sinks.Delivery{{Record: &accesslog.Record{Kind: accesslog.KindAdmin}, Line: []byte("{}")}})
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}
