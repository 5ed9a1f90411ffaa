package fhir_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// What the query and the form say is one set.
func TestForm(t *testing.T) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, test := range []struct {
		in, body string
		headers  []string
		want     string // as it goes to the EHR, or "!" and why it does not
	}{
		{"POST /Patient/_search", "name=a&_count=5", []string{form}, "name=a&_count=5"},
		{"POST /Patient/_search", "name=M%C3%BCller+x", []string{form + "; charset=utf-8"}, "name=M%C3%BCller%20x"},
		{"POST /Patient/_search", "name=a", []string{form + `;charset="UTF-8"`}, "name=a"},
		{"POST /Patient/_search", "", []string{form}, ""},
		{"POST /Patient/_search", "", nil, ""},
		{"POST /Patient/_search?name=a", "", nil, "name=a"},
		{"POST /Patient/_search?name=a", "birthdate=1970", []string{form}, "name=a&birthdate=1970"},
		{"POST /Patient/_search?name=a", "name=b", []string{form}, "name=a&name=b"}, // both, as if repeated
		{"POST /Patient/_search?name=a", "name=a", []string{form}, "name=a"},
		{"POST /Patient/_search?_count=5", "_count=5", []string{form}, "_count=5"},
		{"POST /Patient/_search?_format=json", "_format=json", []string{form}, ""},
		{"POST /Patient/_search?_count=5", "_count=6", []string{form}, "!parameter-invalid"},
		{"POST /Patient/_search?_format=json", "_format=xml", []string{form}, "!parameter-invalid"},
		{"POST /Patient/_search?_elements=id", "_elements=name", []string{form}, "!parameter-invalid"},
		{"POST /Patient/_search?_sort=name", "_sort=-name", []string{form}, "!parameter-invalid"},
		{"POST /_search?_type=Patient", "_type=Observation", []string{form}, "!parameter-invalid"},
		{"POST /_search?_type=Patient", "name=x", []string{form}, "_type=Patient&name=x"},
		{"POST /_search", "_type=Patient&name=x", []string{form}, "_type=Patient&name=x"},
		{"POST /Patient/_search?_page=a", "name=x", []string{form}, "!parameter-invalid"},
		{"POST /Patient/_search", "_count=5&_count=5", []string{form}, "!parameter-invalid"},
		{"POST /Patient/_search", "name=%ff", []string{form}, "!query-malformed"},
		{"POST /Patient/_search", "name=a\r\nHost: x", []string{form}, "!query-malformed"},
		{"POST /Patient/_search", "{}", []string{form}, "!query-malformed"},
		{"POST /Patient/_search", "name=a", nil, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{"Content-Type: application/fhir+json"}, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{"Content-Type: text/plain"}, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{"Content-Type: multipart/form-data; boundary=x"}, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{form + "; charset=utf-16"}, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{form + "; charset=utf-8; charset=utf-16"}, "!header-malformed"},
		{"POST /Patient/_search", "name=a", []string{form + "; charset"}, "!header-malformed"},
		{"POST /Patient/_search", "name=a", []string{form, form}, "!header-malformed"},
		{"POST /Patient/_search", "name=a", []string{form, "content-type: application/json"}, "!header-malformed"},
		{"POST /Patient/_search", "name=a", []string{form, "Content-Encoding: gzip"}, "!media-type-not-supported"},
		{"POST /Patient/_search", "name=a", []string{form, "Content-Encoding: identity"}, "name=a"},
		{"POST /Patient/_search", strings.Repeat("name=a&", 65), []string{form}, "!target-too-long"},
		{"POST /Patient/_search?" + strings.Repeat("name=a&", 40), strings.Repeat("name=b&", 40), []string{form}, "!target-too-long"},
		{"POST /Patient/_search", strings.Repeat("&", 1<<16+1), []string{form}, "!body-too-large"},
		{"GET /Patient", "name=a", []string{form}, "!body-unexpected"},
		{"HEAD /Patient/1", "{}", nil, "!body-unexpected"},
	} {
		m := message(test.in, test.headers...)
		m.Body = []byte(test.body)
		r, err := fhir.Parse(m, fhir.Limits{})
		var e *fhir.Error
		switch kind, refused := strings.CutPrefix(test.want, "!"); {
		case refused && (!errors.As(err, &e) || string(e.Kind) != kind):
			t.Errorf("%s with %.20q: got %+v, %v", test.in, test.body, r, err)
		case !refused && err != nil:
			t.Errorf("%s with %.20q: %v", test.in, test.body, err)
		case !refused && r.Encode() != test.want:
			t.Errorf("%s with %.20q: sends %s", test.in, test.body, r.Encode())
		}
	}
}
