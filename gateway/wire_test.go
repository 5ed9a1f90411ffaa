package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// wire sends text as it is to the FHIR listener, over HTTP/1.1, and reads one answer after the
// other until the connection ends or as many have come.
func (w *world) wire(text string, answers int) []reply {
	w.t.Helper()
	config := w.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(w.fhir, "https://"), "/fhir"), config)
	check(w.t, err)
	defer conn.Close()
	check(w.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, text)
	check(w.t, err)
	in := bufio.NewReader(conn)
	var got []reply
	for len(got) < answers {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		got = append(got, reply{status: resp.StatusCode, header: resp.Header, body: body, err: err})
	}
	return got
}

// TestWire sends what no HTTP library would.
func TestWire(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	auth := "Authorization: Bearer " + token + "\r\n"
	smuggled := "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n"
	w.get(token, "/Practitioner?_count=1") // keys are there
	for _, c := range []struct {
		name, head, rest string
		status           []int // of the answers
		code             string
	}{
		{"plain", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{200}, ""},
		{"body on a GET", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + auth, "hello" + smuggled, []int{400}, "body-not-taken"},
		{"chunked body on a GET", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + auth, "0\r\n\r\n" + smuggled, []int{400}, "body-not-taken"},
		{"length and chunks", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + auth, "0\r\n\r\n" + smuggled, []int{400}, "body-not-taken"},
		{"body that never comes", "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n" + auth, "", []int{400}, "body-not-taken"},
		{"body on metadata", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n", "hello" + smuggled, []int{400}, "body-not-taken"},
		{"two lengths", "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + auth, "hello", []int{400}, ""},
		{"unknown coding", "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n" + auth, "", []int{501}, ""},
		{"no host", "GET /fhir/Practitioner HTTP/1.1\r\n" + auth, "", []int{400}, ""},
		{"another host", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: evil.example\r\n" + auth, "", []int{200}, ""},
		{"absolute form", "GET https://evil.example/fhir/Practitioner HTTP/1.1\r\nHost: evil.example\r\n" + auth, "", []int{400}, "malformed-request"},
		{"connect", "CONNECT ehr.example:443 HTTP/1.1\r\nHost: ehr.example:443\r\n" + auth, "", []int{404}, "no-such-path"},
		{"options of the server", "OPTIONS * HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{404}, "no-such-path"},
		{"two slashes", "GET //fhir/Practitioner HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{404}, "no-such-path"},
		{"empty segment", "GET /fhir//Practitioner HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{400}, "malformed-request"},
		{"longer name", "GET /fhirx/Practitioner HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{404}, "no-such-path"},
		{"escaped base", "GET /%66hir/Practitioner HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{404}, "no-such-path"},
		{"escaped slash after the base", "GET /fhir%2fPractitioner HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{404}, "no-such-path"},
		{"out of the base", "GET /fhir/../admin HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{400}, "malformed-request"},
		{"escaped metadata", "GET /fhir/metadat%61 HTTP/1.1\r\nHost: x\r\n", "", []int{401}, "token-missing"},
		{"fragment", "GET /fhir/Practitioner#/metadata HTTP/1.1\r\nHost: x\r\n" + auth, "", []int{400}, "malformed-request"},
		{"two tokens", "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\n" + auth + auth, "", []int{400}, "header-malformed"},
		{"folded header", "GET /fhir/Practitioner HTTP/1.1\r\nHost: x\r\nTicket-Id: INC\r\n 9\r\n" + auth, "", []int{400}, "header-malformed"},
		{"correlation that is a line", "GET /fhir/Practitioner?_count=1 HTTP/1.1\r\nHost: x\r\nX-Correlation-Id: a\tb\r\n" + auth, "", []int{200}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(w.records(""))
			got := w.wire(c.head+"Connection: close\r\n\r\n"+c.rest, 3)
			var status []int
			for _, r := range got {
				status = append(status, r.status)
			}
			if !slices.Equal(status, c.status) {
				t.Fatalf("answers %v, want %v", status, c.status)
			}
			r := got[0]
			if r.code() != c.code {
				t.Errorf("code %q, want %q: %s", r.code(), c.code, r.body)
			}
			want := len(c.status)
			if r.header.Get("X-Request-Id") == "" {
				want = 0 // net/http's own refusal, of what is no request
			}
			if n := len(w.records("")) - before; n != want {
				t.Errorf("%d records, want %d", n, want)
			}
			if want > 0 {
				if rec := w.record(r); rec.Status != r.status || rec.Code != c.code {
					t.Errorf("record %+v", rec)
				}
			}
		})
	}
}
