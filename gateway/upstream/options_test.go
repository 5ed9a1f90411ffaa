package upstream_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		in   upstream.Options
		want []string
	}{
		{"least", upstream.Options{Name: "main", BaseURL: "https://ehr.example/fhir"}, nil},
		{"loopback", upstream.Options{Name: "a-1_b.c", BaseURL: "http://127.0.0.1:8080"}, nil},
		{"IPv6", upstream.Options{Name: "main", BaseURL: "http://[::1]:8080/fhir"}, nil},
		{"localhost", upstream.Options{Name: "main", BaseURL: "http://localhost/baseR4/"}, nil},
		{"plain http as asked", upstream.Options{Name: "main", BaseURL: "http://ehr.internal/fhir", InsecureHTTP: true}, nil},
		{"plain http", upstream.Options{Name: "main", BaseURL: "http://ehr.internal/fhir"}, []string{"BaseURL must be https, or InsecureHTTP be set"}},
		{"looks like loopback", upstream.Options{Name: "main", BaseURL: "http://127.0.0.1.example/fhir"}, []string{"BaseURL must be https, or InsecureHTTP be set"}},
		{"everything", upstream.Options{Name: "Main", BaseURL: "", Aliases: []string{"https://ok.example", "x"}, Bearer: "a b",
			ConnectTimeout: -1, HeaderTimeout: -1, IdleTimeout: -1, TotalTimeout: -1, MaxConnections: -1, Product: "a\r\nb"}, []string{
			"Name must be 1 to 64 lower-case letters, digits, '-', '_' or '.'",
			"BaseURL must be an absolute https URL",
			"Aliases[1] must be an absolute https URL",
			"Bearer is not of the grammar of RFC 6750",
			"ConnectTimeout must not be negative", "HeaderTimeout must not be negative",
			"IdleTimeout must not be negative", "TotalTimeout must not be negative",
			"MaxConnections, MaxBody, MaxExpansion and MaxHeader must not be negative",
			"Product must be printable ASCII",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := upstream.New(c.in)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				e.Close()
			}
			var want []string
			for _, w := range c.want {
				want = append(want, "upstream: "+w)
			}
			if got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

func TestBaseURLs(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"https://user:" + marker + "@ehr.example/fhir", "must not hold a user or password"},
		{"https://ehr.example/fhir?x=" + marker, "must have no query or fragment"},
		{"https://ehr.example/fhir?", "must have no query or fragment"},
		{"https://ehr.example/fhir#", "must have no query or fragment"},
		{"https://ehr.example/a/../b", "must have a plain path: no escapes, dot segments or empty segments"},
		{"https://ehr.example//fhir", "must have a plain path: no escapes, dot segments or empty segments"},
		{"https://ehr.example/fhir//", "must have a plain path: no escapes, dot segments or empty segments"},
		{"https://ehr.example/%66hir", "must have a plain path: no escapes, dot segments or empty segments"},
		{"https:///fhir", "must name a host"},
		{"https://:8443/fhir", "must name a host"},
		{"https://ehr.example:/fhir", "must have a port after the colon"},
		{"https://ehr.example:0/fhir", "must have a port from 1 to 65535"},
		{"https://ehr.example:65536/fhir", "must have a port from 1 to 65535"},
		{"https://ehr.example:x/" + marker, "is not a URL"},
		{"https:ehr.example", "must be an absolute https URL"},
		{"ftp://ehr.example", "must be an absolute https URL"},
		{"//ehr.example", "must be an absolute https URL"},
		{"https://ähr.example", "must name a host"},
		{"\x00" + marker, "is not a URL"},
	} {
		_, err := upstream.New(upstream.Options{Name: "main", BaseURL: c.in})
		if err == nil || err.Error() != "upstream: BaseURL "+c.want {
			t.Errorf("%q gives %v, want %s", c.in, err, c.want)
		}
	}
}

func TestBases(t *testing.T) {
	e := ehr(t, "https://ehr.example/fhir/", func(o *upstream.Options) {
		o.Aliases = []string{"http://ehr.internal:8080/fhir", "https://ehr.example/fhir", "https://ehr.example/fhir/r4/"}
	})
	want := []string{"http://ehr.internal:8080/fhir", "https://ehr.example/fhir/r4", "https://ehr.example/fhir"}
	if got := e.Bases(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Bases()[0] = "changed"
	if got := e.Bases(); !slices.Equal(got, want) || e.Name() != "main" {
		t.Errorf("a caller changed them: %q", got)
	}
}

// Nothing prints the bearer token.
func TestTheBearerDoesNotPrint(t *testing.T) {
	o := upstream.Options{Name: "main", BaseURL: "https://ehr.example", Bearer: marker, TotalTimeout: time.Second}
	e := ehr(t, o.BaseURL, nil)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		hex := fmt.Sprintf("%x", marker)
		if out := fmt.Sprintf(verb+verb+verb+verb, o, &o, e, o.Bearer); strings.Contains(out, marker) || strings.Contains(out, hex) {
			t.Errorf("%s prints %s", verb, out)
		}
	}
	if out, err := json.Marshal(o); err != nil || strings.Contains(string(out), marker) {
		t.Errorf("JSON is %s, %v", out, err)
	}
	for _, bad := range []upstream.Secret{"a b", "a\r\nX: y", "ä", "=", "a=b", "a,b", "Bearer x"} {
		if _, err := upstream.New(upstream.Options{Name: "main", BaseURL: "https://ehr.example", Bearer: bad}); err == nil {
			t.Errorf("took %q", string(bad))
		}
	}
}
