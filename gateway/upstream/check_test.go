package upstream_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

func TestCheck(t *testing.T) {
	big := `"rest":[` + strings.Repeat(`{"resource":[{"type":"Patient"}]},`, 50_000) + `{}]`
	const fhir = "Content-Type: application/fhir+json\r\n"
	const not = "metadata is no capability statement"
	for _, c := range []struct {
		name, sent string
		kind       upstream.Kind
		reason     string
	}{
		{"first", answer("200 OK", fhir, `{"resourceType":"CapabilityStatement","x":{}}`), "", ""},
		{"last, after much", answer("200 OK", fhir, `{`+big+`,"resourceType":"CapabilityStatement"}`), "", ""},
		{"escaped", answer("200 OK", fhir, `{"resource\u0054ype":"CapabilityStatement"}`), "", ""},
		{"the rest does not matter", answer("200 OK", fhir, `{"resourceType":"CapabilityStatement",`), "", ""},
		{"another type", answer("200 OK", fhir, `{"resourceType":"`+marker+`"}`), upstream.NotJSON, not},
		{"type of another kind", answer("200 OK", fhir, `{"resourceType":1}`), upstream.NotJSON, not},
		{"deeper", answer("200 OK", fhir, `{"x":{"resourceType":"CapabilityStatement"}}`), upstream.NotJSON, not},
		{"no object", answer("200 OK", fhir, `["resourceType","CapabilityStatement"]`), upstream.NotJSON, not},
		{"no JSON", answer("200 OK", fhir, marker), upstream.NotJSON, not},
		{"empty", answer("200 OK", fhir, ""), upstream.NotJSON, not},
		{"too long", answer("200 OK", fhir, `{"x":"`+strings.Repeat(" ", 17<<20)+`","resourceType":"CapabilityStatement"}`), upstream.NotJSON, not},
		{"cut", "HTTP/1.1 200 OK\r\n" + fhir + "Content-Length: 100\r\n\r\n{\"x\":[", upstream.Cut, "the answer ended early"},
		{"HTML", answer("200 OK", "Content-Type: text/html\r\n", marker), upstream.NotJSON, "the answer is not JSON in UTF-8"},
		{"401", answer("401 No", "", marker), upstream.Refused, "the gateway's own credentials are not taken"},
		{"404", answer("404 No", fhir, `{"resourceType":"CapabilityStatement"}`), upstream.Unexpected, "no capability statement"},
		{"503", answer("503 No", "", marker), upstream.Unexpected, "no capability statement"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := ehr(t, says(t, c.sent), nil).Check(t.Context())
			if c.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			fails(t, err, c.kind, c.reason)
		})
	}
	var asked string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.RequestURI
		jsonBody(`{"resourceType":"CapabilityStatement"}`)(w, r)
	})
	if err := ehr(t, s.URL+"/fhir", nil).Check(t.Context()); err != nil || asked != "GET /fhir/metadata" {
		t.Errorf("asked %q, %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fails(t, ehr(t, s.URL, nil).Check(ctx), upstream.Canceled, "the caller went away")
}

func ExampleError() {
	e := &upstream.Error{Kind: upstream.Refused, EHR: "main", Reason: "the gateway's own credentials are not taken", Status: 401}
	fmt.Println(e)
	// Output: upstream main: refused: the gateway's own credentials are not taken (status 401)
}
