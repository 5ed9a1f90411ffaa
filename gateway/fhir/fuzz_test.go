package fhir_test

import (
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

// seeds are whole requests; accepted says which of them Parse takes.
var seeds = []struct {
	method, path, query, header string
	accepted                    bool
}{
	{"GET", "/Patient/1", "", "", true},
	{"HEAD", "/Patient/a.b-C/_history/2", "_pretty=true", "application/json", true},
	{"GET", "/metadata", "mode=full", "*/*;q=0.1", true},
	{"GET", "/Patient", "name:exact=M%C3%BCller&birthdate=ge1970,lt1960&_sort=-birthdate&_count=7", "", true},
	{"GET", "/%50atient", "identifier=http://x|a%5C%2Cb,%7Cc&name=a;b+c", "", true},
	{"GET", "/Observation", "code-value-quantity=http://loinc.org|8480-6$gt150&subject:Patient=1", "application/*", true},
	{"GET", "/Appointment", "actor=Patient/1,https://h/Location/2,urn:x&_lastUpdated=2020&_tag=a|b", "", true},
	{"GET", "/Patient", "_page=abc", "", true},
	{"GET", "/Patient/%2e%2e", "", "", false},
	{"GET", "/Patient%2F1", "", "", false},
	{"POST", "/Patient/_search", "name=x", "", false},
	{"GET", "/Patient", "_has:Observation:patient:code=x", "", false},
	{"GET", "/Patient/1", "", "text/html;q=0.9,application/xml", false},
	{"GET", "/Patient", "name=a%00&x=%ff&&=", "", false},
}

func TestSeeds(t *testing.T) {
	for _, s := range seeds {
		if _, err := fhir.Parse(seed(s.method, s.path, s.query, s.header), fhir.Limits{}); (err == nil) != s.accepted {
			t.Errorf("%s %s?%s: %v", s.method, s.path, s.query, err)
		}
	}
}

func seed(method, path, query, accept string) fhir.Message {
	m := fhir.Message{Method: method, Path: path, Query: query, Header: map[string][]string{"Prefer": {"handling=lenient"}}}
	if accept != "" {
		m.Header["Accept"] = []string{accept}
	}
	return m
}

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	pathForm = regexp.MustCompile(`^([A-Za-z]+(/[A-Za-z0-9\-.]+(/_history/[A-Za-z0-9\-.]+)?)?|metadata)$`)
	sentForm = regexp.MustCompile(`^[A-Za-z0-9\-._~:/=&,%]*$`)
)

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.method, s.path, s.query, s.header)
	}
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		m := seed(method, path, query, accept)
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
		check(t, r)

		// What is sent to the EHR reads back as the same request.
		again := fhir.Message{Method: "GET", Path: "/" + r.Path(), Query: r.Encode()}
		if r.Page != "" {
			again.Query = "_page=" + r.Page
		}
		r2, err := fhir.Parse(again, fhir.Limits{URLBytes: 1 << 20})
		if err != nil {
			t.Fatalf("%+v sends %+v: %v", *r, again, err)
		}
		r.Head, r.Pretty, r.Dropped = false, false, nil
		if !reflect.DeepEqual(r, r2) {
			t.Fatalf("%+v came back as %+v", *r, *r2)
		}
	})
}

// check holds what the package comment promises of a Request.
func check(t *testing.T, r *fhir.Request) {
	t.Helper()
	switch r.Interaction {
	case fhir.Read, fhir.VRead, fhir.SearchType:
		if !fhir.Known(r.Type) {
			t.Fatalf("type %q", r.Type)
		}
	case fhir.Capabilities:
		if r.Type != "" {
			t.Fatalf("type %q", r.Type)
		}
	default:
		t.Fatalf("interaction %q", r.Interaction)
	}
	if (r.ID != "") != (r.Interaction == fhir.Read || r.Interaction == fhir.VRead) || (r.Version != "") != (r.Interaction == fhir.VRead) {
		t.Fatalf("%+v", *r)
	}
	for _, id := range []string{r.ID, r.Version} {
		if id != "" && (!idForm.MatchString(id) || id == "." || id == "..") {
			t.Fatalf("id %q", id)
		}
	}
	if !pathForm.MatchString(r.Path()) || !sentForm.MatchString(r.Encode()) {
		t.Fatalf("sends %q?%q", r.Path(), r.Encode())
	}
	for _, p := range r.Params {
		if p.Definition == nil && p.Name != "_count" && p.Name != "_sort" || len(p.Values) == 0 {
			t.Fatalf("parameter %+v", p)
		}
		if def, ok := fhir.Parameter(r.Type, p.Name); p.Definition != nil && (!ok || def != p.Definition) {
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
	if r.Page != "" && len(r.Params) > 0 {
		t.Fatalf("%+v", *r)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range seeds[:4] {
		m := seed(s.method, s.path, s.query, "application/fhir+json")
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
