package fhir_test

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func bundle(kind string, entries ...string) fhir.Message {
	return with("POST /", `{"resourceType":"Bundle","type":"`+kind+`","entry":[`+strings.Join(entries, ",")+`]}`, isJSON)
}

// call is an entry without a resource.
func call(method, url string) string {
	return `{"request":{"method":"` + method + `","url":"` + url + `"}}`
}

func TestBundle(t *testing.T) {
	patch := `[{"op":"replace","path":"/status","value":"done"}]`
	m := bundle("batch",
		call("GET", "Patient/1"), call("HEAD", "Patient?name=x&_include=Patient:link"), call("GET", "?_type=Slot"),
		`{"fullUrl":"urn:uuid:2c5c5a2e","resource":{"resourceType":"Task"},"request":{"method":"POST","url":"Task","ifNoneExist":"identifier=x"}}`,
		`{"fullUrl":"https://gw.example/fhir/Task/2","resource":{"resourceType":"Task","id":"2"},"request":{"method":"PUT","url":"Task/2","ifMatch":"W/\"3\""}}`,
		`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"`+base64.StdEncoding.EncodeToString([]byte(patch))+`"},"request":{"method":"PATCH","url":"Task/4"}}`,
		call("DELETE", "Task?identifier=y"), call("POST", "Patient/_search?name=x"),
		`{"resource":{"resourceType":"Parameters"},"request":{"method":"POST","url":"Patient/$match"}}`,
		`{"request":{"method":"GET","url":"Patient/5","ifNoneMatch":"W/\"6\"","ifModifiedSince":"2026-01-01T00:00:00Z"}}`,
		call("GET", "Patient?_page=abc"),
	)
	m.Header["Prefer"] = []string{"return=minimal"}
	m.Header["Idempotency-Key"] = []string{"k"}
	r, err := fhir.Parse(m, fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Interaction != fhir.Batch || r.IdempotencyKey != "k" || r.Return != "minimal" || string(r.Input) != string(m.Body) || r.Path() != "" {
		t.Errorf("got %+v", *r)
	}
	var got []string
	for _, e := range r.Entries {
		if e.Err != nil {
			t.Fatalf("%s: %v", e.Method, e.Err)
		}
		q := e.Request
		got = append(got, strings.Join([]string{e.Method, string(q.Interaction), q.Path(), q.Encode(), string(q.Input), q.IfMatch + q.IfNoneMatch, q.Return, e.FullURL, q.IdempotencyKey}, " "))
	}
	want := []string{
		"GET read Patient/1      ",
		"HEAD search-type Patient name=x&_include=Patient:link     ",
		"GET search-system  _type=Slot     ",
		`POST create Task identifier=x {"resourceType":"Task"}  minimal urn:uuid:2c5c5a2e `,
		`PUT update Task/2  {"resourceType":"Task","id":"2"} 3 minimal https://gw.example/fhir/Task/2 `,
		"PATCH patch Task/4  " + patch + "  minimal  ",
		"DELETE delete Task identifier=y   minimal  ",
		"POST search-type Patient name=x     ",
		`POST operation Patient/$match  {"resourceType":"Parameters"}    `,
		"GET read Patient/5   6   ",
		"GET search-type Patient      ",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, body := range []string{`{"resourceType":"Bundle","type":"transaction"}`, `{"type":"transaction","id":"x","meta":{},"entry":[],"resourceType":"Bundle"}`} {
		if r, err := fhir.Parse(with("POST /", body, isJSON), fhir.Limits{}); err != nil || r.Interaction != fhir.Transaction || len(r.Entries) != 0 {
			t.Errorf("%s: %+v, %v", body, r, err)
		}
	}
}

// Each entry is refused alone in a batch, and the transaction with it.
func TestEntryRefusals(t *testing.T) {
	entry := func(request string) string { return `{"request":{` + request + `}}` }
	task := func(request string) string {
		return `{"resource":{"resourceType":"Task"},"request":{` + request + `}}`
	}
	patch := func(media, data string) string {
		return `{"resource":{"resourceType":"Binary","contentType":"` + media + `","data":"` + data + `"},"request":{"method":"PATCH","url":"Task/1"}}`
	}
	for _, test := range []struct {
		name, entry string
		kind        fhir.Kind
	}{
		{"absolute", call("GET", "https://evil.example/fhir/Patient/1"), fhir.MalformedBody},
		{"absolute, of the gateway", call("GET", "http://localhost/fhir/Patient/1"), fhir.MalformedBody},
		{"another scheme", call("GET", "file:///etc/passwd"), fhir.MalformedBody},
		{"urn", call("GET", "urn:uuid:1"), fhir.MalformedBody},
		{"protocol-relative", call("GET", "//evil.example/Patient/1"), fhir.MalformedBody},
		{"backslashes", call("GET", `\\\\evil.example\\Patient`), fhir.MalformedBody},
		{"rooted", call("GET", "/Patient/1"), fhir.MalformedBody},
		{"fragment", call("GET", "Patient/1#x"), fhir.MalformedBody},
		{"dot segments", call("GET", "Patient/../Observation/1"), fhir.MalformedPath},
		{"encoded dot segments", call("GET", "%2e%2e/admin"), fhir.MalformedPath},
		{"encoded slash", call("GET", "Patient%2F1"), fhir.MalformedPath},
		{"encoded type", call("GET", "%4eope/1"), fhir.UnknownType},
		{"two slashes", call("GET", "Patient//1"), fhir.MalformedPath},
		{"a space before", call("GET", " Patient/1"), fhir.MalformedPath},
		{"authority", call("GET", "@evil.example/Patient"), fhir.MalformedPath},
		{"not ASCII", call("GET", "Patient/\u00e4"), fhir.MalformedPath},
		{"a line break", call("GET", `Patient/1\r\nHost: x`), fhir.MalformedBody}, // its colon comes first
		{"a line break in the query", call("GET", `Patient?name=1\r\nx`), fhir.MalformedQuery},
		{"metadata in the query", call("GET", "Patient?x=/metadata"), fhir.UnknownParameter},
		{"XML", call("GET", "Patient/1?_format=xml"), fhir.NotAcceptable},
		{"no url", entry(`"method":"GET"`), fhir.MalformedBody},
		{"empty url", call("GET", ""), fhir.MalformedBody},
		{"a url that is no text", entry(`"method":"GET","url":["Patient/1"]`), fhir.MalformedBody},
		{"no method", entry(`"url":"Patient/1"`), fhir.MalformedBody},
		{"small method", call("get", "Patient/1"), fhir.MalformedBody},
		{"another method", call("CONNECT", "Patient/1"), fhir.MalformedBody},
		{"method that does not go", call("POST", "Patient/1"), fhir.MethodNotAllowed},
		{"small member", entry(`"Method":"GET","url":"Patient/1"`), fhir.MalformedBody},
		{"unknown member", entry(`"method":"GET","url":"Patient/1","header":{}`), fhir.MalformedBody},
		{"extension", entry(`"method":"GET","url":"Patient/1","extension":[]`), fhir.MalformedBody},
		{"no request", `{"resource":{"resourceType":"Task"}}`, fhir.MalformedBody},
		{"a request that is no object", `{"request":["GET","Patient/1"]}`, fhir.MalformedBody},
		{"an entry that is no object", `"GET Patient/1"`, fhir.MalformedBody},
		{"null", `null`, fhir.MalformedBody},
		{"a response", `{"request":{"method":"GET","url":"Patient/1"},"response":{"status":"200"}}`, fhir.MalformedBody},
		{"a search", `{"request":{"method":"GET","url":"Patient/1"},"search":{}}`, fhir.MalformedBody},
		{"a modifier", `{"request":{"method":"GET","url":"Patient/1"},"modifierExtension":[]}`, fhir.MalformedBody},
		{"batch in a batch", `{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":"?"}}`, fhir.UnsupportedInteraction},
		{"transaction in a batch", `{"resource":{"resourceType":"Bundle","type":"transaction"},"request":{"method":"POST","url":"?"}}`, fhir.UnsupportedInteraction},
		{"metadata", call("GET", "metadata"), fhir.UnsupportedInteraction},
		{"resource of a read", `{"resource":{"resourceType":"Task"},"request":{"method":"GET","url":"Task/1"}}`, fhir.UnexpectedBody},
		{"resource of a delete", task(`"method":"DELETE","url":"Task/1"`), fhir.UnexpectedBody},
		{"resource of a search", task(`"method":"POST","url":"Task/_search"`), fhir.UnsupportedMedia},
		{"no resource to create", call("POST", "Task"), fhir.MalformedBody},
		{"another type", task(`"method":"POST","url":"Patient"`), fhir.BodyMismatch},
		{"another id", `{"resource":{"resourceType":"Task","id":"1"},"request":{"method":"PUT","url":"Task/12"}}`, fhir.BodyMismatch},
		{"delete everything", call("DELETE", "Task"), fhir.MissingParameter},
		{"bad ifMatch", task(`"method":"POST","url":"Task","ifMatch":"W/\"1\""`), fhir.UnsupportedHeader},
		{"ifMatch that is no text", entry(`"method":"DELETE","url":"Task/1","ifMatch":1`), fhir.MalformedBody},
		{"ifMatch on any", entry(`"method":"DELETE","url":"Task/1","ifMatch":"*"`), fhir.MalformedHeader},
		{"ifModifiedSince on a write", entry(`"method":"DELETE","url":"Task/1","ifModifiedSince":"2026-01-01T00:00:00Z"`), fhir.UnsupportedHeader},
		{"ifNoneExist, unknown", task(`"method":"POST","url":"Task","ifNoneExist":"nope=1"`), fhir.UnknownParameter},
		{"patch that is none", task(`"method":"PATCH","url":"Task/1"`), fhir.MalformedBody},
		{"patch of another media type", patch("application/fhir+json", "W10="), fhir.UnsupportedMedia},
		{"patch of no media type", patch("", "W10="), fhir.MalformedBody},
		{"patch that is not base64", patch("application/json-patch+json", "W10"), fhir.MalformedBody},
		{"patch with a key twice", patch("application/json-patch+json", base64.StdEncoding.EncodeToString([]byte(`[{"op":"add","op":"test"}]`))), fhir.MalformedBody},
		{"fullUrl of another resource", `{"fullUrl":"https://gw.example/fhir/Patient/12","request":{"method":"GET","url":"Patient/1"}}`, fhir.BodyMismatch},
		{"fullUrl of another type", `{"fullUrl":"https://gw.example/fhir/Person/1","request":{"method":"GET","url":"Patient/1"}}`, fhir.BodyMismatch},
		{"fullUrl of a resource for a new one", `{"fullUrl":"https://gw.example/fhir/Task/1","resource":{"resourceType":"Task"},"request":{"method":"POST","url":"Task"}}`, fhir.BodyMismatch},
		{"fullUrl of a resource for a search", `{"fullUrl":"https://gw.example/fhir/Task/1","request":{"method":"GET","url":"Task"}}`, fhir.BodyMismatch},
		{"fullUrl of no resource", `{"fullUrl":"https://gw.example/x","request":{"method":"GET","url":"Task/1"}}`, fhir.BodyMismatch},
		{"relative fullUrl", `{"fullUrl":"Patient/1","request":{"method":"GET","url":"Patient/1"}}`, fhir.MalformedBody},
		{"script in fullUrl", `{"fullUrl":"javascript:x","request":{"method":"GET","url":"Patient/1"}}`, fhir.MalformedBody},
		{"space in fullUrl", `{"fullUrl":"urn:uuid:a b","request":{"method":"GET","url":"Patient/1"}}`, fhir.MalformedBody},
		{"fullUrl of nothing", `{"fullUrl":"urn:uuid:","request":{"method":"GET","url":"Patient/1"}}`, fhir.MalformedBody},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := fhir.Parse(bundle("batch", call("GET", "Patient/7"), test.entry, call("GET", "Patient/8")), fhir.Limits{})
			if err != nil || len(r.Entries) != 3 || r.Entries[0].Err != nil || r.Entries[2].Err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
			if e := r.Entries[1]; e.Err == nil || e.Err.Kind != test.kind || e.Request != nil {
				t.Errorf("got %+v, %v; want %s", e.Request, e.Err, test.kind)
			}
			r, err = fhir.Parse(bundle("transaction", call("GET", "Patient/7"), test.entry), fhir.Limits{})
			var e *fhir.Error
			if !errors.As(err, &e) || e.Kind != test.kind || e.Entry != 2 || r != nil {
				t.Errorf("transaction: got %+v, %v", r, err)
			}
			if !strings.HasSuffix(err.Error(), "entry=2") {
				t.Errorf("%v does not name the entry", err)
			}
		})
	}
}

func TestBundleRefusals(t *testing.T) {
	put := `{"resource":{"resourceType":"Task","id":"1"},"request":{"method":"PUT","url":"Task/1"}}`
	named := `{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Task"},"request":{"method":"POST","url":"Task"}}`
	for _, test := range []struct {
		name string
		in   fhir.Message
		kind fhir.Kind
	}{
		{"no body", with("POST /", "", isJSON), fhir.MalformedBody},
		{"another resource", with("POST /", `{"resourceType":"Patient","type":"batch"}`, isJSON), fhir.MalformedBody},
		{"no kind", with("POST /", `{"resourceType":"Bundle"}`, isJSON), fhir.MalformedBody},
		{"collection", bundle("collection", call("GET", "Patient/1")), fhir.MalformedBody},
		{"batch-response", bundle("batch-response", call("GET", "Patient/1")), fhir.MalformedBody},
		{"capital letters", bundle("Batch", call("GET", "Patient/1")), fhir.MalformedBody},
		{"entries that are no list", with("POST /", `{"resourceType":"Bundle","type":"batch","entry":{}}`, isJSON), fhir.MalformedBody},
		{"null entries", with("POST /", `{"resourceType":"Bundle","type":"batch","entry":null}`, isJSON), fhir.MalformedBody},
		{"entries in capitals", with("POST /", `{"resourceType":"Bundle","type":"batch","Entry":[]}`, isJSON), fhir.MalformedBody},
		{"implicit rules", with("POST /", `{"resourceType":"Bundle","type":"batch","implicitRules":"http://x"}`, isJSON), fhir.MalformedBody},
		{"link", with("POST /", `{"resourceType":"Bundle","type":"batch","link":[]}`, isJSON), fhir.MalformedBody},
		{"entry twice", with("POST /", `{"resourceType":"Bundle","type":"batch","entry":[],"entry":[`+call("GET", "Patient/1")+`]}`, isJSON), fhir.MalformedBody},
		{"url twice", bundle("batch", `{"request":{"method":"GET","url":"Patient/1","\u0075rl":"Patient/2"}}`), fhir.MalformedBody},
		{"key twice in a resource", bundle("batch", `{"resource":{"resourceType":"Task","for":{"reference":"a","reference":"b"}},"request":{"method":"POST","url":"Task"}}`), fhir.MalformedBody},
		{"form", with("POST /", "type=batch", isForm), fhir.UnsupportedMedia},
		{"query", with("POST /?_type=Patient", `{"resourceType":"Bundle","type":"batch"}`, isJSON), fhir.NotSupported},
		{"too many", bundle("batch", strings.TrimPrefix(strings.Repeat(","+call("GET", "Patient/1"), 101), ",")), fhir.TooLarge},
		{"one resource written twice", bundle("transaction", put, put), fhir.MalformedBody},
		{"one resource put and deleted", bundle("transaction", put, call("DELETE", "Task/1")), fhir.MalformedBody},
		{"one name twice", bundle("transaction", named, named), fhir.MalformedBody},
	} {
		r, err := fhir.Parse(test.in, fhir.Limits{})
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != test.kind || r != nil {
			t.Errorf("%s: got %+v, %v; want %s", test.name, r, err, test.kind)
		}
	}
	for _, m := range []fhir.Message{bundle("batch", named, named), bundle("batch", named, call("GET", "Task/1"), named)} {
		r, err := fhir.Parse(m, fhir.Limits{})
		if err != nil || r.Entries[0].Err != nil || r.Entries[len(r.Entries)-1].Err == nil {
			t.Errorf("one name twice in a batch: %+v, %v", r, err)
		}
	}
	// In a batch, and for reads, one resource may be named twice.
	for _, m := range []fhir.Message{bundle("batch", put, put), bundle("transaction", put, call("GET", "Task/1"), call("GET", "Task/1"))} {
		r, err := fhir.Parse(m, fhir.Limits{})
		if err != nil || r.Entries[1].Err != nil {
			t.Errorf("one resource twice: %v", err)
		}
	}
	if _, err := fhir.Parse(bundle("batch", call("GET", "Patient/1"), call("GET", "Patient/2")), fhir.Limits{Entries: 1}); err == nil {
		t.Error("more entries than the limit")
	}
}
