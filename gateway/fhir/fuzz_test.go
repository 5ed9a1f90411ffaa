package fhir_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// seeds are whole requests; accepted says which of them Parse takes. Their
// headers are separated by line breaks.
var seeds = []struct {
	method, path, query, headers, body string
	accepted                           bool
}{
	{"GET", "/Patient/1", "", "", "", true},
	{"HEAD", "/Patient/a.b-C/_history/2", "_pretty=true&_elements=id", "Accept: application/json", "", true},
	{"GET", "/metadata", "mode=full", "Accept: */*;q=0.1", "", true},
	{"GET", "/Patient", "name:exact=M%C3%BCller&birthdate=ge1970,lt1960&_sort=-birthdate&_count=7", "", "", true},
	{"GET", "/%50atient", "identifier=http://x|a%5C%2Cb,%7Cc&name=a;b+c&_summary=false", "", "", true},
	{"GET", "/Observation", "code-value-quantity=http://loinc.org|8480-6$gt150&subject:Patient=1", "Accept: application/*", "", true},
	{"GET", "/Appointment", "actor=Patient/1,https://h/Location/2,urn:x&_lastUpdated=2020&_tag=a|b", "", "", true},
	{"GET", "/Patient", "_page=abc", "", "", true},
	{"GET", "/Observation", "subject:Patient.link.birthdate=1970&code:not=a|b&patient:identifier=x|y", "", "", false},
	{"GET", "/Observation", "subject.birthdate=1970&code:not=a|b&patient:identifier=x|y", "", "", true},
	{"GET", "/Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent:Practitioner=x", "", "", true},
	{"GET", "/Appointment", "_include=*&_revinclude:iterate=Task:focus:Appointment&_total=none", "", "", true},
	{"GET", "/", "_type=Patient,Slot&_lastUpdated=2020&_sort=-_id", "", "", true},
	{"GET", "/Patient/1/*", "_type=Appointment,Task&status=booked", "", "", true},
	{"GET", "/Patient/1/_history", "_since=2026-01-01T00:00:00Z&_count=5", "", "", true},
	{"GET", "/_history", "_at=2026", "", "", true},
	{"POST", "/Patient/_search", "name=x", "Content-Type: application/x-www-form-urlencoded", "birthdate=1970&_count=5", true},
	{"POST", "/Patient/1/Task/_search", "", "Content-Type: application/x-www-form-urlencoded; charset=UTF-8", "status=done", true},
	{"GET", "/Patient/%2e%2e", "", "", "", false},
	{"GET", "/Patient%2F1", "", "", "", false},
	{"POST", "/Patient/_search", "name=x", "", "name=y", false},
	{"GET", "/Patient/1", "", "Accept: text/html;q=0.9,application/xml", "", false},
	{"GET", "/Patient", "name=a%00&x=%ff&&=", "", "", false},
	{"POST", "/Task", "", "Content-Type: application/fhir+json\nIf-None-Exist: identifier=a|b&patient.birthdate=1970\nIdempotency-Key: \"k\"", `{"resourceType":"Task","\u0061":["\u00e4",1.0e3]}`, true},
	{"PUT", "/Task/1", "", "Content-Type: application/json\nIf-Match: W/\"3\"\nPrefer: return=minimal", `{"id":"1","resourceType":"Task"}`, true},
	{"PUT", "/Task", "_id=1,2", "Content-Type: application/json;charset=utf-8", ` {"resourceType":"Task"}`, true},
	{"PATCH", "/Task/1", "", "Content-Type: application/json-patch+json", `[{"op":"remove","path":"/note"}]`, true},
	{"DELETE", "/Task", "status=ready", "", "", true},
	{"DELETE", "/Task", "", "", "", false},
	{"POST", "/Patient/$match", "", "Content-Type: application/fhir+json", `{"resourceType":"Parameters"}`, true},
	{"GET", "/Patient/1/$everything", "start=2020&x=a,b&x=", "", "", true},
	{"POST", "/", "", "Content-Type: application/fhir+json", batchSeed, true},
	{"POST", "/", "", "Content-Type: application/fhir+json", strings.Replace(batchSeed, "batch", "transaction", 1), false},
	{"POST", "/Task", "", "Content-Type: application/fhir+json", `{"resourceType":"Task","a":1,"\u0061":2}`, false},
}

const batchSeed = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}},` +
	`{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Task"},"request":{"method":"POST","url":"Task","ifNoneExist":"_id=1"}},` +
	`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3t9XQ=="},"request":{"method":"PATCH","url":"Task/1"}},` +
	`{"request":{"method":"GET","url":"//evil.example"}}]}`

func TestSeeds(t *testing.T) {
	for _, s := range seeds {
		if _, err := fhir.Parse(seed(s.method, s.path, s.query, s.headers, s.body), fhir.Limits{}); (err == nil) != s.accepted {
			t.Errorf("%s %s?%s: %v", s.method, s.path, s.query, err)
		}
	}
}

func seed(method, path, query, headers, body string) fhir.Message {
	m := fhir.Message{Method: method, Path: path, Query: query, Header: map[string][]string{"Prefer": {"handling=lenient"}}, Body: []byte(body)}
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		m.Header[name] = append(m.Header[name], value)
	}
	return m
}

// sent is a message that says again what a request says.
func sent(r *fhir.Request) fhir.Message {
	m := fhir.Message{Method: "GET", Path: "/" + r.Path(), Query: r.Encode(), Header: map[string][]string{}, Body: r.Input}
	if r.Page != "" {
		m.Query = "_page=" + r.Page
	}
	set := func(name, value string) {
		if value != "" {
			m.Header[name] = []string{value}
		}
	}
	switch r.Interaction {
	case fhir.Create, fhir.Batch, fhir.Transaction:
		m.Method = "POST"
	case fhir.Update:
		m.Method = "PUT"
	case fhir.Patch:
		m.Method = "PATCH"
	case fhir.Delete:
		m.Method = "DELETE"
	case fhir.Operation:
		if r.Input != nil {
			m.Method = "POST"
		}
	}
	if r.Interaction == fhir.Create {
		set("If-None-Exist", m.Query)
		m.Query = ""
	}
	if r.Input != nil {
		set("Content-Type", "application/fhir+json")
	}
	if r.Interaction == fhir.Patch {
		set("Content-Type", "application/json-patch+json")
	}
	if r.IfMatch != "" {
		set("If-Match", `W/"`+r.IfMatch+`"`)
	}
	if r.IfNoneMatch != "" {
		set("If-None-Match", `W/"`+r.IfNoneMatch+`"`)
	}
	if r.Return != "" {
		set("Prefer", "return="+r.Return)
	}
	set("Idempotency-Key", r.IdempotencyKey)
	return m
}

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	pathForm = regexp.MustCompile(`^([A-Za-z]+(/[A-Za-z0-9\-.]+(/_history/[A-Za-z0-9\-.]+|/[A-Z][A-Za-z]+|/\*)?)?|metadata)?(/?_history|/?\$[A-Za-z0-9-]+)?$`)
	sentForm = regexp.MustCompile(`^[A-Za-z0-9\-._~:/=&,%]*$`)
)

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.method, s.path, s.query, s.headers, s.body)
	}
	f.Fuzz(func(t *testing.T, method, path, query, headers, body string) {
		m := seed(method, path, query, headers, body)
		r, err := fhir.Parse(m, fhir.Limits{})
		if err != nil {
			var e *fhir.Error
			if r != nil || !errors.As(err, &e) || e.Kind == "" {
				t.Fatalf("%+v, %v", r, err)
			}
			if strings.IndexFunc(err.Error(), func(c rune) bool { return c < ' ' || c > '~' }) >= 0 {
				t.Fatalf("error holds %q", err)
			}
			return
		}
		check(t, r, m.Body)
		for _, e := range r.Entries {
			if (e.Request == nil) == (e.Err == nil) || r.Interaction == fhir.Transaction && e.Err != nil {
				t.Fatalf("entry %+v", e)
			}
			if e.Request != nil {
				check(t, e.Request, m.Body)
			}
		}

		// What is sent to the EHR reads back as the same request.
		again := sent(r)
		r2, err := fhir.Parse(again, fhir.Limits{URLBytes: 1 << 20, ValueBytes: 1 << 20})
		if err != nil {
			t.Fatalf("%+v sends %+v: %v", *r, again, err)
		}
		r.Head, r.Pretty, r.Dropped = false, false, nil
		if r.Interaction == fhir.Batch { // whether their searches were lenient is not said again
			r.Entries, r2.Entries = nil, nil
		}
		if !reflect.DeepEqual(r, r2) {
			t.Fatalf("%+v came back as %+v", *r, *r2)
		}
	})
}

// check holds what the package comment promises of a Request.
func check(t *testing.T, r *fhir.Request, body []byte) {
	t.Helper()
	is := r.Interaction
	instance := is == fhir.Read || is == fhir.VRead || is == fhir.HistoryInstance
	found := r.Conditional && is != fhir.Create
	switch {
	case is == fhir.Operation:
		if r.Operation == "" || r.Type != "" && !fhir.Known(r.Type) || r.ID != "" && r.Type == "" {
			t.Fatalf("%+v", *r)
		}
	case is == fhir.Capabilities, is == fhir.HistorySystem, is == fhir.SearchSystem, is == fhir.Batch, is == fhir.Transaction,
		is == fhir.SearchCompartment && r.Type == "":
		if r.Type != "" {
			t.Fatalf("type %q", r.Type)
		}
	case instance, is.Writes(), is == fhir.SearchType, is == fhir.SearchCompartment, is == fhir.HistoryType:
		if !fhir.Known(r.Type) {
			t.Fatalf("type %q", r.Type)
		}
	default:
		t.Fatalf("interaction %q", r.Interaction)
	}
	if is != fhir.Operation && ((r.ID != "") != (instance || is.Writes() && is != fhir.Create && !found) || (r.Version != "") != (is == fhir.VRead)) ||
		(r.Compartment != fhir.Compartment{}) != (is == fhir.SearchCompartment) || found && len(r.Params) == 0 ||
		r.Page == "" && (len(r.Types) > 0) != (r.Type == "" && is.Searches()) {
		t.Fatalf("%+v", *r)
	}
	// Never more than the input: what is handed on of a body stood in it, but for
	// a patch in base64.
	if takes := is == fhir.Create || is == fhir.Update || is == fhir.Patch || is == fhir.Batch || is == fhir.Transaction; takes != (r.Input != nil) && is != fhir.Operation ||
		is != fhir.Patch && !bytes.Contains(body, r.Input) || r.Input != nil && !json.Valid(r.Input) {
		t.Fatalf("%s with the body %q", is, r.Input)
	}
	for _, id := range []string{r.ID, r.Version, r.Compartment.ID} {
		if id != "" && (!idForm.MatchString(id) || id == "." || id == "..") {
			t.Fatalf("id %q", id)
		}
	}
	if !pathForm.MatchString(r.Path()) || !sentForm.MatchString(r.Encode()) {
		t.Fatalf("sends %q?%q", r.Path(), r.Encode())
	}
	types := r.Types
	if r.Type != "" {
		types = []string{r.Type}
	}
	params := r.Params
	if is == fhir.Operation {
		params = nil // of which nothing is promised
	}
	for _, p := range params {
		for _, typ := range types {
			if of, ok := p.For(typ); !ok || p.Definition != nil && (!defined(of.On(typ), of.Definition) || of.Name != p.Name || of.Encode() != p.Encode()) {
				t.Fatalf("parameter %+v is not one of %s", p, typ)
			}
		}
		if p.Definition == nil && !slices.Contains([]string{"_count", "_sort", "_since", "_at"}, p.Name) || len(p.Values) == 0 {
			t.Fatalf("parameter %+v", p)
		}
		for _, v := range p.Values {
			if v == "" || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
				t.Fatalf("value %q", v)
			}
			if len(fhir.Split(v, ',')) != 1 || slices.Contains([]string{"..", "."}, v) && p.Name == "_id" {
				t.Fatalf("value %q", v)
			}
		}
	}
	for _, i := range r.Includes {
		if !fhir.Known(i.Source) || i.Target != "" && !fhir.Known(i.Target) || i.All == (i.Param != nil) {
			t.Fatalf("include %+v", i)
		}
		for _, p := range i.Params() {
			if p.Type != fhir.Reference {
				t.Fatalf("include %+v follows %s", i, p.Name)
			}
		}
	}
	if r.Page != "" && len(r.Params) > 0 {
		t.Fatalf("%+v", *r)
	}
}

// defined reports whether def is a parameter of the type.
func defined(resourceType string, def *fhir.SearchParameter) bool {
	p, ok := fhir.Parameter(resourceType, def.Name)
	return ok && p == def
}

func BenchmarkParse(b *testing.B) {
	for _, s := range seeds[:4] {
		m := seed(s.method, s.path, s.query, s.headers, s.body)
		b.Run(s.path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fhir.Parse(m, fhir.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
