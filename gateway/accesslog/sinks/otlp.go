package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// OTLPOptions are where logs go.
type OTLPOptions struct {
	URL    string // whole: https://collector.example:4318/v1/logs
	Bearer []byte // optional
	Client *http.Client
	Origin string // of the log
	Host   string // of the gateway
}

// OTLP hands records to an OpenTelemetry collector as logs, by OTLP over HTTP in its JSON encoding (OTLP 1.x, "OTLP/HTTP").
// The body of a log is the record's line as it is; what a collector routes and joins by is in attributes and in the trace's id.
// A collector that rejects a part of a batch gets all of it again.
type OTLP struct{ o OTLPOptions }

// NewOTLP checks the options.
func NewOTLP(o OTLPOptions) (*OTLP, error) {
	if o.URL == "" || o.Client == nil {
		return nil, errors.New("an OTLP sink needs a URL and a client")
	}
	return &OTLP{o}, nil
}

type (
	otlpValue struct {
		String string `json:"stringValue"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpRecord struct {
		Time         string          `json:"timeUnixNano"` // 64-bit numbers are strings in JSON
		Severity     int             `json:"severityNumber"`
		SeverityText string          `json:"severityText"`
		Body         otlpValue       `json:"body"`
		Attributes   []otlpAttribute `json:"attributes"`
		Trace        string          `json:"traceId,omitempty"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpScopeLogs struct {
		Scope   otlpScope    `json:"scope"`
		Records []otlpRecord `json:"logRecords"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpResourceLogs struct {
		Resource otlpResource    `json:"resource"`
		Scopes   []otlpScopeLogs `json:"scopeLogs"`
	}
	otlpLogs struct {
		Resources []otlpResourceLogs `json:"resourceLogs"`
	}
)

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Send posts the batch.
func (p *OTLP) Send(ctx context.Context, batch []Delivery) error {
	records := make([]otlpRecord, 0, len(batch))
	for _, d := range batch {
		records = append(records, logOf(d))
	}
	body, err := json.Marshal(otlpLogs{[]otlpResourceLogs{{
		Resource: otlpResource{attributes("service.name", "halfdoor", "host.name", p.o.Host, "halfdoor.origin", p.o.Origin)},
		Scopes:   []otlpScopeLogs{{otlpScope{"halfdoor.accesslog"}, records}},
	}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.o.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if len(p.o.Bearer) > 0 {
		req.Header.Set("Authorization", "Bearer "+string(p.o.Bearer))
	}
	answer, err := exchange(p.o.Client, req)
	if err != nil {
		return err
	}
	// A proxy's login page is no receipt. Some collectors say nothing at all.
	if answer = bytes.TrimSpace(answer); len(answer) > 0 && (answer[0] != '{' || !gjson.ValidBytes(answer)) {
		return errors.New("the answer is not a collector's")
	}
	if n := gjson.GetBytes(answer, "partialSuccess.rejectedLogRecords").Int(); n > 0 {
		return fmt.Errorf("the collector rejects %d of %d records", n, len(batch))
	}
	return nil
}

func logOf(d Delivery) otlpRecord {
	r := d.Record
	l := otlpRecord{
		Time: strconv.FormatInt(r.Time.UnixNano(), 10), Severity: 9, SeverityText: "INFO", Body: otlpValue{string(d.Line)},
		Attributes: attributes("halfdoor.seq", strconv.FormatInt(r.Sequence, 10), "halfdoor.kind", string(r.Kind), "halfdoor.code", r.Code, "halfdoor.correlation", r.Correlation,
			"halfdoor.request_id", r.RequestID, "halfdoor.ticket", r.Ticket.ID, "halfdoor.client", r.Actor.Client, "halfdoor.interaction", r.Request.Interaction),
	}
	if r.Kind == accesslog.KindRefusal {
		l.Severity, l.SeverityText = 13, "WARN"
	}
	if r.Time.Before(time.Unix(0, 0)) { // the form has no time before 1970: 0 is unknown
		l.Time = "0"
	}
	if traceID.MatchString(r.Trace) {
		l.Trace = r.Trace
	}
	return l
}

// attributes makes keys and values, and leaves out what is empty.
func attributes(pairs ...string) []otlpAttribute {
	var all []otlpAttribute
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, otlpAttribute{pairs[i], otlpValue{pairs[i+1]}})
		}
	}
	return all
}

// Close lets go of idle connections.
func (p *OTLP) Close() error {
	p.o.Client.CloseIdleConnections()
	return nil
}
