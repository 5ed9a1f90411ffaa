package fhir_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// bodies are JSON bodies; strict says which of them are taken.
var bodies = []struct {
	in     string
	strict bool
}{
	{`{"resourceType":"Parameters"}`, true},
	{"\n{ \"resourceType\" : \"Parameters\" , \"a\":[{\"b\":1},{\"b\":[true,null,-0.5e+10,\"\\u00e4\\ud83d\\ude00\\/\"]}],\"b\":{}}\t", true},
	{`{"resourceType":"Parameters","a":{"b":{"c":1},"d":2},"c":{"b":3}}`, true},
	{`{"resourceType":"Parameters","a":"\"a\":1,","\"a":1,"a\\":2}`, true},
	{`{"resourceType":"Parameters","a":1,"A":1}`, true},
	{`{"resourceType":"Parameters","":1,"a":{"":1}}`, true},
	{`{"resourceType":"Parameters","":1,"":1}`, false},
	{`{"resourceType":"Parameters","a":[[],{},{"a":1,"b":2,"a":3}]}`, false},
	{`{"resourceType":"Parameters","a\/b":1,"a/b":2}`, false},
	{`{"resourceType":"Parameters","\ud83d\ude00":1,"😀":2}`, false},
	{`{"resourceType":"Parameters","a":"\udc00"}`, false},
	{`{"resourceType":"Parameters","a":"\ud800\u0041"}`, false},
	{`{"resourceType":"Parameters","a":"\u001f"}`, false},
	{`{"resourceType":"Parameters",}`, false},
	{`{"resourceType":"Parameters"} x`, false},
	{`{'resourceType':'Parameters'}`, false},
	{`{"resourceType":"Parameters"/**/}`, false},
	{"{\"resourceType\":\"Parameters\",\"a\":\"\xc0\x80\"}", false},
	{"\x00", false},
}

func operation(body []byte) (*fhir.Request, error) {
	return fhir.Parse(with("POST /$x", string(body), isJSON), fhir.Limits{})
}

func TestBodies(t *testing.T) {
	for _, b := range bodies {
		if _, err := operation([]byte(b.in)); (err == nil) != b.strict {
			t.Errorf("%q: %v", b.in, err)
		}
		if got := unambiguous([]byte(b.in)); got != b.strict {
			t.Errorf("%q: the reference says %v", b.in, got)
		}
	}
	nested := func(n int) []byte {
		return []byte(`{"resourceType":"Parameters","a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
	}
	if _, err := operation(nested(99)); err != nil {
		t.Errorf("nested 100 deep: %v", err)
	}
	if _, err := operation(nested(100)); err == nil {
		t.Error("nested 101 deep is taken")
	}
	// Every truncation is refused.
	whole := bodies[1].in
	for i := range len(strings.TrimSpace(whole)) {
		if r, err := operation([]byte(whole[:i])); err == nil && i > 0 {
			t.Errorf("%q is taken as %+v", whole[:i], r)
		}
	}
}

// unambiguous is the slow and obvious reading of what strict promises.
func unambiguous(b []byte) bool {
	if !utf8.Valid(b) || !json.Valid(b) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	ok := true
	check := func(s string) {
		for _, c := range s {
			ok = ok && c != utf8.RuneError && (c >= ' ' || c == '\t' || c == '\n' || c == '\r')
		}
	}
	var value func(depth int)
	value = func(depth int) {
		token, err := d.Token()
		if err != nil {
			ok = false
			return
		}
		switch v := token.(type) {
		case string:
			check(v)
		case json.Delim:
			if depth++; depth > 100 {
				ok = false
			}
			keys := map[string]bool{}
			for d.More() && ok {
				if v == '{' {
					token, _ := d.Token()
					key, _ := token.(string)
					check(key)
					ok = ok && !keys[key]
					keys[key] = true
				}
				value(depth)
			}
			_, _ = d.Token()
		}
	}
	value(0)
	_, err := d.Token()
	return ok && err == io.EOF
}

func FuzzBody(f *testing.F) {
	for _, b := range bodies {
		f.Add([]byte(b.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := operation(b)
		var e *fhir.Error
		switch {
		case len(b) == 0:
			return // an operation without parameters
		case err == nil && (!unambiguous(b) || !bytes.Equal(r.Input, bytes.TrimSpace(b))):
			t.Fatalf("%q is taken as %q", b, r.Input)
		case err != nil && (!errors.As(err, &e) || e.Kind != fhir.MalformedBody):
			t.Fatalf("%q: %v", b, err)
		case err != nil && unambiguous(b):
			// Then it is no resource: the type alone is at fault.
			var members map[string]json.RawMessage
			var typ string
			if json.Unmarshal(b, &members) == nil && json.Unmarshal(members["resourceType"], &typ) == nil && fhir.Known(typ) {
				t.Fatalf("%q: %v", b, err)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, in := range []string{
		`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}},{"name":"count","valueInteger":3}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"onlyCertainMatches","valueBoolean":true},{"name":"resource","resource":{"resourceType":"Patient","id":"1"}}]}`,
	} {
		if _, err := fhir.ParseMatch([]byte(in)); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := fhir.ParseMatch(b)
		var e *fhir.Error
		if err != nil && (!errors.As(err, &e) || m.Patient != nil) {
			t.Fatalf("%+v, %v", m, err)
		}
		if err == nil && (!bytes.Contains(b, m.Patient) || !json.Valid(m.Patient) || m.Count < 0) {
			t.Fatalf("%q gives %+v", b, m)
		}
	})
}
