package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/halfdoor/halfdoor/gateway/accesslog/balp"
)

// FHIROptions are where events go.
type FHIROptions struct {
	BaseURL string       // of the FHIR server
	Bearer  []byte       // optional
	Client  *http.Client // its timeouts are the sink's
	Events  *balp.Mapper
}

// FHIR puts records as AuditEvents onto a FHIR R4 server, in a batch that updates each event under the id that follows
// from its record: what is sent again is there once. The server has to let clients give ids to what they create
// (updateCreate in its CapabilityStatement).
type FHIR struct{ o FHIROptions }

// NewFHIR checks the options.
func NewFHIR(o FHIROptions) (*FHIR, error) {
	if o.BaseURL == "" || o.Client == nil || o.Events == nil {
		return nil, errors.New("a FHIR sink needs a base URL, a client and a mapper")
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	return &FHIR{o}, nil
}

type (
	bundle struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}
	entry struct {
		Resource *balp.Event `json:"resource,omitempty"`
		Request  *request    `json:"request,omitempty"`
		Response struct {
			Status string `json:"status"`
		} `json:"response,omitzero"`
	}
	request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
)

// Bounds of a batch's Bundle and of its answer.
const (
	bundleEvents = 100
	maxAnswer    = 8 << 20
)

// Send puts the events of the records, a few at a time.
func (f *FHIR) Send(ctx context.Context, batch []Delivery) error {
	b := bundle{ResourceType: "Bundle", Type: "batch"}
	for _, d := range batch {
		err := f.o.Events.Each(d.Record, nil, func(e *balp.Event) error {
			b.Entry = append(b.Entry, entry{Resource: e, Request: &request{http.MethodPut, "AuditEvent/" + e.ID}})
			if len(b.Entry) < bundleEvents {
				return nil
			}
			err := f.post(ctx, &b)
			b.Entry = b.Entry[:0]
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(b.Entry) == 0 {
		return nil
	}
	return f.post(ctx, &b)
}

func (f *FHIR) post(ctx context.Context, b *bundle) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.o.BaseURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Accept", "application/fhir+json")
	if len(f.o.Bearer) > 0 {
		req.Header.Set("Authorization", "Bearer "+string(f.o.Bearer))
	}
	answer, err := exchange(f.o.Client, req)
	if err != nil {
		return err
	}
	var told bundle
	if err := json.Unmarshal(answer, &told); err != nil || told.Type != "batch-response" || len(told.Entry) != len(b.Entry) {
		return errors.New("the FHIR server's answer is not that to a batch")
	}
	for i, e := range told.Entry {
		if !strings.HasPrefix(e.Response.Status, "2") {
			return fmt.Errorf("the FHIR server does not take AuditEvent/%s: %.3s", b.Entry[i].Resource.ID, e.Response.Status)
		}
	}
	return nil
}

// exchange returns the body of a good answer. What a server says besides is not repeated.
func exchange(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	return body, err
}

// Close lets go of idle connections.
func (f *FHIR) Close() error {
	f.o.Client.CloseIdleConnections()
	return nil
}
