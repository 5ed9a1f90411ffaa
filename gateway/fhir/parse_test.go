package fhir_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// message makes a Message of "GET /Patient?name=x".
func message(line string, headers ...string) fhir.Message {
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		method, target = "GET", line
	}
	path, query, _ := strings.Cut(target, "?")
	m := fhir.Message{Method: method, Path: path, Query: query, Header: map[string][]string{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		m.Header[name] = append(m.Header[name], value)
	}
	return m
}

func parse(t *testing.T, line string, headers ...string) *fhir.Request {
	t.Helper()
	r, err := fhir.Parse(message(line, headers...), fhir.Limits{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", line, err)
	}
	return r
}

func TestInteractions(t *testing.T) {
	id64 := strings.Repeat("a", 64)
	for _, test := range []struct {
		in   string
		want fhir.Request
		path string
	}{
		{"GET /metadata", fhir.Request{Interaction: fhir.Capabilities}, "metadata"},
		{"HEAD /metadata?mode=full", fhir.Request{Interaction: fhir.Capabilities, Head: true}, "metadata"},
		{"GET /Patient", fhir.Request{Interaction: fhir.SearchType, Type: "Patient"}, "Patient"},
		{"GET /Patient?", fhir.Request{Interaction: fhir.SearchType, Type: "Patient"}, "Patient"},
		{"HEAD /Patient", fhir.Request{Interaction: fhir.SearchType, Type: "Patient", Head: true}, "Patient"},
		{"GET /Patient/1", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "1"}, "Patient/1"},
		{"GET /Patient/1?_format=json&_pretty=true", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "1", Pretty: true}, "Patient/1"},
		{"HEAD /Patient/A-b.9", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "A-b.9", Head: true}, "Patient/A-b.9"},
		{"GET /Patient/" + id64, fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: id64}, "Patient/" + id64},
		{"GET /Patient/...", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "..."}, "Patient/..."},
		{"GET /Patient/metadata", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "metadata"}, "Patient/metadata"},
		{"GET /Patient/1/_history/2", fhir.Request{Interaction: fhir.VRead, Type: "Patient", ID: "1", Version: "2"}, "Patient/1/_history/2"},
		// A percent-encoded plain character is that character (RFC 3986, section 6.2.2.2).
		{"GET /%50atient/%31%2D2", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "1-2"}, "Patient/1-2"},
		{"GET /Patient/1/%5fhistory/2", fhir.Request{Interaction: fhir.VRead, Type: "Patient", ID: "1", Version: "2"}, "Patient/1/_history/2"},
		{"GET /Patient/1/_history", fhir.Request{Interaction: fhir.HistoryInstance, Type: "Patient", ID: "1"}, "Patient/1/_history"},
		{"GET /Patient/_history", fhir.Request{Interaction: fhir.HistoryType, Type: "Patient"}, "Patient/_history"},
		{"HEAD /_history", fhir.Request{Interaction: fhir.HistorySystem, Head: true}, "_history"},
		{"GET /Patient/_history?_page=abc", fhir.Request{Interaction: fhir.HistoryType, Type: "Patient", Page: "abc"}, "Patient/_history"},
		{"POST /Patient/_search", fhir.Request{Interaction: fhir.SearchType, Type: "Patient"}, "Patient"},
		{"GET /?_type=Patient,Slot", fhir.Request{Interaction: fhir.SearchSystem, Types: []string{"Patient", "Slot"}}, ""},
		{"GET ?_type=Slot", fhir.Request{Interaction: fhir.SearchSystem, Types: []string{"Slot"}}, ""},
		{"POST /_search?_type=Slot", fhir.Request{Interaction: fhir.SearchSystem, Types: []string{"Slot"}}, ""},
		{"GET /?_page=abc", fhir.Request{Interaction: fhir.SearchSystem, Page: "abc"}, ""},
		{"GET /Patient/1/Observation", fhir.Request{Interaction: fhir.SearchCompartment, Type: "Observation", Compartment: fhir.Compartment{Type: "Patient", ID: "1"}}, "Patient/1/Observation"},
		{"POST /Encounter/1/Observation/_search", fhir.Request{Interaction: fhir.SearchCompartment, Type: "Observation", Compartment: fhir.Compartment{Type: "Encounter", ID: "1"}}, "Encounter/1/Observation"},
		{"GET /Patient/1/Patient", fhir.Request{Interaction: fhir.SearchCompartment, Type: "Patient", Compartment: fhir.Compartment{Type: "Patient", ID: "1"}}, "Patient/1/Patient"},
		{"GET /Patient/1/*?_type=Observation", fhir.Request{Interaction: fhir.SearchCompartment, Types: []string{"Observation"}, Compartment: fhir.Compartment{Type: "Patient", ID: "1"}}, "Patient/1/*"},
		{"GET /Patient/1/%2A?_type=Observation", fhir.Request{Interaction: fhir.SearchCompartment, Types: []string{"Observation"}, Compartment: fhir.Compartment{Type: "Patient", ID: "1"}}, "Patient/1/*"},
		{"GET /Patient/1?_elements=id,name&_format=json", fhir.Request{Interaction: fhir.Read, Type: "Patient", ID: "1", Elements: []string{"id", "name"}}, "Patient/1"},
		{"GET /Patient/1/_history/2?_summary=text", fhir.Request{Interaction: fhir.VRead, Type: "Patient", ID: "1", Version: "2", Summary: "text"}, "Patient/1/_history/2"},
		{"GET /Patient?_summary=count&_total=accurate", fhir.Request{Interaction: fhir.SearchType, Type: "Patient", Summary: "count", Total: "accurate"}, "Patient"},
		{"GET /Patient?_page=abc-_.~9", fhir.Request{Interaction: fhir.SearchType, Type: "Patient", Page: "abc-_.~9"}, "Patient"},
		{"GET /Patient?_page=abc&_count=1000", fhir.Request{Interaction: fhir.SearchType, Type: "Patient", Page: "abc"}, "Patient"},
		{"GET /Patient?_page=abc&_format=json", fhir.Request{Interaction: fhir.SearchType, Type: "Patient", Page: "abc"}, "Patient"},
	} {
		if got := parse(t, test.in); !reflect.DeepEqual(*got, test.want) || got.Path() != test.path {
			t.Errorf("%s: got %+v at %s, want %+v at %s", test.in, *got, got.Path(), test.want, test.path)
		}
	}
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, test := range []struct {
		in   string
		kind fhir.Kind
	}{
		// Encodings and separators in the path.
		{"GET /Patient%2F1", fhir.MalformedPath},
		{"GET /Patient%2f1", fhir.MalformedPath},
		{"GET /Patient/1%2F..%2FObservation", fhir.MalformedPath},
		{"GET /Patient/%252F", fhir.MalformedPath},
		{"GET /Patient/%2531", fhir.MalformedPath},
		{"GET /Patient/1%5C2", fhir.MalformedPath},
		{`GET /Patient/1\2`, fhir.MalformedPath},
		{"GET /Patient/..", fhir.MalformedPath},
		{"GET /Patient/.", fhir.MalformedPath},
		{"GET /Patient/%2e%2e/Observation", fhir.MalformedPath},
		{"GET /Patient/%2e", fhir.MalformedPath},
		{"GET /Patient/.%2E/Observation", fhir.MalformedPath},
		{"GET /../admin", fhir.MalformedPath},
		{"GET //Patient/1", fhir.MalformedPath},
		{"GET /Patient//1", fhir.MalformedPath},
		{"GET //evil.example/Patient", fhir.MalformedPath},
		{"GET /Patient/", fhir.MalformedPath},
		{"GET /Patient/1/", fhir.MalformedPath},
		{"GET /metadata/", fhir.MalformedPath},
		{"GET /Patient;x=1/1", fhir.MalformedPath},
		{"GET /Patient/1;jsessionid=2", fhir.MalformedPath},
		{"GET /Patient/1%3Bx", fhir.MalformedPath},
		{"GET /Patient/1#x", fhir.MalformedPath},
		{"GET /Patient/1%23x", fhir.MalformedPath},
		{"GET /Patient/1%3Fx=1", fhir.MalformedPath},
		{"GET /Patient/1%00", fhir.MalformedPath},
		{"GET /Patient/1%0d%0aHost:x", fhir.MalformedPath},
		{"GET /Patient/1%", fhir.MalformedPath},
		{"GET /Patient/1%4", fhir.MalformedPath},
		{"GET /Patient/1%zz", fhir.MalformedPath},
		{"GET /Patient/1%u0041", fhir.MalformedPath},
		{"GET /Patient/\xff", fhir.MalformedPath},
		{"GET /Patient/%ff", fhir.MalformedPath},
		{"GET /Patient/%C0%AE%C0%AE", fhir.MalformedPath},
		{"GET /Patient/%EF%BC%8E", fhir.MalformedPath},
		{"GET /Patient/1+2", fhir.MalformedPath},
		{"GET /Patient/1:2", fhir.MalformedPath},
		{"GET /Patient/a@b", fhir.MalformedPath},
		{"GET Patient/1", fhir.MalformedPath},
		{"GET https://evil.example/Patient/1", fhir.MalformedPath},
		{"OPTIONS *", fhir.MalformedPath},
		// Paths that FHIR does not have.
		{"GET /Patient/1/2", fhir.MalformedPath},
		{"GET /Slot/1/Appointment", fhir.MalformedPath}, // no compartment
		{"GET /Patient/1/*/_history", fhir.MalformedPath},
		{"GET /Patient/1/Observation/2", fhir.MalformedPath},
		{"GET /Patient/1/**", fhir.MalformedPath},
		{"GET /Patient/1/_history/2/3", fhir.MalformedPath},
		{"GET /Patient/_history/2", fhir.MalformedPath},
		{"GET /Patient/1/_search", fhir.MalformedPath},
		{"GET /Patient/1/patient", fhir.MalformedPath},
		{"GET /_history/2", fhir.MalformedPath},
		{"GET /$", fhir.MalformedPath},
		{"GET /Patient/$", fhir.MalformedPath},
		{"GET /Patient/$every*", fhir.MalformedPath},
		// Types and ids.
		{"GET /patient", fhir.UnknownType},
		{"GET /PATIENT/1", fhir.UnknownType},
		{"GET /Patients", fhir.UnknownType},
		{"GET /Resource", fhir.UnknownType},
		{"GET /DomainResource/1", fhir.UnknownType},
		{"GET /ActorDefinition", fhir.UnknownType}, // R5
		{"GET /SubscriptionStatus", fhir.UnknownType},
		{"GET /metadata.json", fhir.UnknownType},
		{"GET /metadata/1", fhir.UnknownType},
		{"GET /.well-known", fhir.UnknownType},
		{"GET /*", fhir.UnknownType},
		{"POST /Unknown", fhir.UnknownType},
		{"GET /Patient/" + long, fhir.MalformedID},
		{"GET /Patient/1_2", fhir.MalformedID},
		{"GET /Patient/1$x", fhir.MalformedID},
		{"GET /Patient/1*", fhir.MalformedID},
		{"GET /Patient/1/_history/" + long, fhir.MalformedID},
		{"GET /Patient/1/_history/a_b", fhir.MalformedID},
		// Methods.
		{"get /Patient/1", fhir.MethodNotAllowed},
		{"TRACE /Patient/1", fhir.MethodNotAllowed},
		{"CONNECT /Patient/1", fhir.MethodNotAllowed},
		{"OPTIONS /Patient", fhir.MethodNotAllowed},
		{" /Patient", fhir.MethodNotAllowed},
		{"POST /Patient/1", fhir.MethodNotAllowed},
		{"GET /Patient/_search?name=x", fhir.MethodNotAllowed},
		{"HEAD /_search", fhir.MethodNotAllowed},
		{"GET /Patient/1/Observation/_search", fhir.MethodNotAllowed},
		{"POST /Patient/1/Observation", fhir.MethodNotAllowed},
		{"DELETE /Patient/_history", fhir.MethodNotAllowed},
		{"GET /", fhir.MissingParameter},
		{"POST /_search", fhir.MissingParameter},
		{"GET /Patient/1/*", fhir.MissingParameter},
		{"PUT /metadata", fhir.MethodNotAllowed},
		{"PUT /Patient/1/_history/2", fhir.MethodNotAllowed},
		// The query string.
		{"GET /Patient?name=%", fhir.MalformedQuery},
		{"GET /Patient?name=%4", fhir.MalformedQuery},
		{"GET /Patient?name=%g1", fhir.MalformedQuery},
		{"GET /Patient?name=a%00b", fhir.MalformedQuery},
		{"GET /Patient?name=a%0Ab", fhir.MalformedQuery},
		{"GET /Patient?name=a%7F", fhir.MalformedQuery},
		{"GET /Patient?name=a%C2%85", fhir.MalformedQuery},
		{"GET /Patient?name=%ff", fhir.MalformedQuery},
		{"GET /Patient?name=%ED%A0%80", fhir.MalformedQuery},
		{"GET /Patient?name=%C0%80", fhir.MalformedQuery},
		{"GET /Patient?name=M\u00fcller", fhir.MalformedQuery},
		{"GET /Patient?name=a#b", fhir.MalformedQuery},
		{"GET /Patient?name=a\tb", fhir.MalformedQuery},
		{"GET /Patient?=x", fhir.MalformedQuery},
		{"GET /Patient?na me=x", fhir.MalformedQuery},
		{"GET /Patient?na%20me=x", fhir.MalformedQuery},
		{"GET /Patient?n%C3%A4me=x", fhir.MalformedQuery},
		{"GET /Patient?1name=x", fhir.MalformedQuery},
		{"GET /Patient?" + strings.Repeat("n", 129) + "=x", fhir.MalformedQuery},
		// Limits.
		{"GET /Patient?name=" + strings.Repeat("a", 2048), fhir.TooLong},
		{"GET /Patient?" + strings.Repeat("name=a&", 65), fhir.TooLong},
		{"GET /Patient?_page=" + strings.Repeat("a", 8192), fhir.TooLong},
		{"GET /Patient/" + strings.Repeat("/", 8192), fhir.TooLong},
	} {
		t.Run(test.in[:min(len(test.in), 60)], func(t *testing.T) {
			r, err := fhir.Parse(message(test.in), fhir.Limits{})
			var e *fhir.Error
			if !errors.As(err, &e) || e.Kind != test.kind || r != nil {
				t.Errorf("got %+v, %v; want %s", r, err, test.kind)
			}
		})
	}
}

// A method that means nothing at a place is answered with those that do.
func TestAllow(t *testing.T) {
	for in, want := range map[string]string{
		"POST /Patient/1":                "GET HEAD PUT PATCH DELETE",
		"OPTIONS /Patient":               "GET HEAD POST PUT PATCH DELETE",
		"DELETE /":                       "GET HEAD POST",
		"PUT /metadata":                  "GET HEAD",
		"GET /Patient/_search":           "POST",
		"DELETE /Patient/1/_history/2":   "GET HEAD",
		"DELETE /Patient/1/_history":     "GET HEAD",
		"PUT /Patient/$match":            "GET HEAD POST",
		"DELETE /Patient/1/Task":         "GET HEAD",
		"GET /Patient/1/Task/_search":    "POST",
		"PATCH /$export":                 "GET HEAD POST",
		"TRACE /Patient/1/_history/2/$x": "GET HEAD POST",
	} {
		_, err := fhir.Parse(message(in), fhir.Limits{})
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != fhir.MethodNotAllowed || strings.Join(e.Allow, " ") != want {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, test := range []struct {
		name, in string
		headers  []string
		kind     fhir.Kind // empty: accepted
	}{
		{"override", "GET /Patient/1", []string{"X-Http-Method-Override: DELETE"}, fhir.MethodOverride},
		{"override to the same", "GET /Patient/1", []string{"X-Http-Method-Override: GET"}, fhir.MethodOverride},
		{"empty override", "GET /Patient/1", []string{"X-HTTP-METHOD-OVERRIDE: "}, fhir.MethodOverride},
		{"microsoft's", "GET /Patient/1", []string{"x-http-method: PUT"}, fhir.MethodOverride},
		{"ibm's", "POST /Patient/_search", []string{"X-Method-Override: GET"}, fhir.MethodOverride},
		{"underscores", "GET /Patient/1", []string{"X_HTTP_Method_Override: PUT"}, fhir.MethodOverride},
		{"range", "GET /Patient/1", []string{"Range: bytes=0-1", "If-Range: x"}, ""},
		{"conditions", "GET /Patient/1", []string{`If-None-Match: W/"1"`, "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT"}, ""},

		{"json", "/Patient/1", []string{"Accept: application/json"}, ""},
		{"fhir json", "/Patient/1", []string{"Accept: application/fhir+json; charset=utf-8"}, ""},
		{"r4", "/Patient/1", []string{"Accept: application/fhir+json; fhirVersion=4.0"}, ""},
		{"any", "/Patient/1", []string{"Accept: */*"}, ""},
		{"any application", "/Patient/1", []string{"Accept: application/*;q=0.1"}, ""},
		{"browser", "/Patient/1", []string{"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, ""},
		{"two lines", "/Patient/1", []string{"Accept: application/fhir+xml", "Accept: application/json;q=0.5"}, ""},
		{"case", "/Patient/1", []string{"Accept: Application/FHIR+JSON"}, ""},
		{"empty", "/Patient/1", []string{"Accept: "}, ""},
		{"one of two excluded", "/Patient/1", []string{"Accept: application/json;q=0, */*"}, ""},
		{"xml", "/Patient/1", []string{"Accept: application/fhir+xml"}, fhir.NotAcceptable},
		{"turtle", "/Patient/1", []string{"Accept: text/turtle, application/fhir+xml;q=0.2"}, fhir.NotAcceptable},
		{"html", "/Patient/1", []string{"Accept: text/html"}, fhir.NotAcceptable},
		{"excluded", "/Patient/1", []string{"Accept: application/fhir+json;q=0, application/json;q=0.0, */*"}, fhir.NotAcceptable},
		{"all excluded", "/Patient/1", []string{"Accept: */*;q=0"}, fhir.NotAcceptable},
		{"bad quality", "/Patient/1", []string{"Accept: application/json;q=NaN"}, fhir.NotAcceptable},
		{"r5", "/Patient/1", []string{"Accept: application/fhir+json;fhirVersion=5.0"}, fhir.NotAcceptable},
		{"ndjson", "/Patient/1", []string{"Accept: application/fhir+ndjson"}, fhir.NotAcceptable},

		{"format over accept", "/Patient/1?_format=json", []string{"Accept: application/fhir+xml"}, ""},
		{"format mime", "/Patient?_format=application/json", nil, ""},
		{"format plus", "/Patient?_format=application/fhir+json", nil, ""},
		{"format escaped plus", "/Patient?_format=application%2Ffhir%2Bjson%3BfhirVersion%3D4.0", nil, ""},
		{"format xml", "/Patient?_format=xml", []string{"Accept: application/json"}, fhir.NotAcceptable},
		{"format text/xml", "/Patient/1?_format=text/xml", nil, fhir.NotAcceptable},
		{"format ttl", "/metadata?_format=ttl", nil, fhir.NotAcceptable},
		{"format empty", "/Patient?_format=", nil, fhir.NotAcceptable},
		{"format html", "/Patient?_format=html/json", nil, fhir.NotAcceptable},
		{"formats disagree", "/Patient?_format=json&_format=xml", nil, fhir.BadParameter},

		{"strict", "/Patient?nome=x", []string{"Prefer: handling=strict"}, fhir.UnknownParameter},
		{"first counts", "/Patient?nome=x", []string{"Prefer: handling=strict, handling=lenient"}, fhir.UnknownParameter},
		{"other preference", "/Patient?nome=x", []string{"Prefer: return=minimal"}, fhir.UnknownParameter},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := fhir.Parse(message(test.in, test.headers...), fhir.Limits{})
			var e *fhir.Error
			if test.kind == "" && err != nil || test.kind != "" && (!errors.As(err, &e) || e.Kind != test.kind) {
				t.Errorf("got %v, want %q", err, test.kind)
			}
		})
	}
}

func TestLenient(t *testing.T) {
	for _, prefer := range []string{"handling=lenient", `respond-async, Handling = "Lenient"; x=y`} {
		r := parse(t, "/Patient?nome=x&name=y&foo:bar.baz=z", "Prefer: "+prefer)
		if want := []string{"nome", "foo:bar.baz"}; !reflect.DeepEqual(r.Dropped, want) || r.Encode() != "name=y" {
			t.Errorf("%s: dropped %q, sends %q", prefer, r.Dropped, r.Encode())
		}
	}
	// What is understood and refused is not unknown, and a bad name or value is
	// not a name to ignore.
	for _, in := range []string{
		"/Patient?_has:Observation:patient:nome=x", "/Patient?_include=foo", "/Patient?name:text=x", "/Patient?birthdate=x",
		"/Patient?general-practitioner.name=x", "/Patient?n%20me=x", "/Patient?_page=x&foo=y", "/Patient/1?_include=*",
		"/Patient/1?_has:Observation:patient:code=x", "/Patient?_filter=x", "/Patient?_text=x", "/Patient?_contained=false",
		"/Patient?link.nome=x", "/?_type=Patient,Slot&family=x", "/?_type=Slot&_type=Patient", "/Patient?_type=Slot",
	} {
		if r, err := fhir.Parse(message(in, "Prefer: handling=lenient"), fhir.Limits{}); err == nil {
			t.Errorf("%s: accepted as %+v", in, *r)
		}
	}
}
