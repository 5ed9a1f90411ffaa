package transforms_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestSubjectsFirst holds the rule that whom a byte discloses is named before or with it: for each token of a patient
// and each token of a released resource's id, by the window that its first byte is in.
func TestSubjectsFirst(t *testing.T) {
	docs := append(own(t), foreign(t)...)
	docs = append(docs, document{"generated", readAll(t, newBundle(300<<10))})
	resource := regexp.MustCompile(`"id": ?"` + token.String() + `"`)
	seen := 0
	for _, f := range fixtures(t) {
		for _, doc := range docs {
			if len(doc.data) > 700<<10 {
				continue
			}
			for _, size := range []int{256, 4096, 0} {
				o := options()
				o.Window, o.Lookahead, o.Link = size, 8<<20, links
				got := filter(t, f.plan, bytes.NewReader(doc.data), o)
				for _, at := range token.FindAllSubmatchIndex(got.body, -1) {
					kind, value := openToken(token.FindSubmatch(got.body[at[0]:at[1]]))
					if kind == "Patient" {
						seen++
						named(t, f.name+", "+doc.name, got, at[0], reference.Subject{Type: kind, ID: value})
					}
				}
				for _, at := range resource.FindAllIndex(got.body, -1) {
					kind, value := openToken(token.FindSubmatch(got.body[at[0]:at[1]]))
					if !strings.Contains(kind, ".") {
						seen++
						named(t, f.name+", "+doc.name, got, at[0], reference.Subject{Type: kind, ID: value})
					}
				}
			}
		}
	}
	if seen < 300 {
		t.Errorf("only %d tokens were looked at", seen)
	}
}

// named fails unless s has been named by the window that the byte at offset is in.
func named(t *testing.T, name string, got result, offset int, s reference.Subject) {
	t.Helper()
	for i, w := range got.windows {
		if w.start > offset {
			break
		}
		for _, subject := range got.windows[i].subjects {
			if subject == s {
				return
			}
		}
	}
	t.Errorf("%s: byte %d discloses %v, who was not named", name, offset, s)
}

// TestLateSubject has a resource whose patient is named at its very end, in an element that does not leave, behind
// much that does.
func TestLateSubject(t *testing.T) {
	f := load(t, "late", `{"resources": {"Observation": {"status": "keep", "note.text": "keep"}, "Encounter": {"id": "token"}}}`)
	var doc bytes.Buffer
	doc.WriteString(`{"resourceType":"Bundle","type":"searchset","entry":[`)
	for i := range 20 {
		fmt.Fprintf(&doc, `{"resource":{"resourceType":"Observation","status":"final-%d","note":[`, i)
		for j := range 40 {
			fmt.Fprintf(&doc, `{"text":"%s %d"},`, strings.Repeat("x", 200), j)
		}
		fmt.Fprintf(&doc, `{"text":"end"}],"subject":{"reference":"Patient/late-%d"}}},`, i)
	}
	doc.WriteString(`{"resource":{"resourceType":"Encounter","id":"e"}}]}`)
	o := options()
	o.Window = 1024
	got := filter(t, f.plan, &doc, o)
	if got.err != nil {
		t.Fatal(got.err)
	}
	if len(got.windows) < 10 {
		t.Errorf("%d windows for %d bytes", len(got.windows), len(got.body))
	}
	for i := range 20 {
		at := bytes.Index(got.body, fmt.Appendf(nil, `"final-%d"`, i))
		if at < 0 {
			t.Fatalf("observation %d did not leave", i)
		}
		named(t, "late", got, at, reference.Subject{Type: "Patient", ID: fmt.Sprintf("late-%d", i)})
	}
}

// TestWindowSizes has windows neither far larger than asked for, nor held back for long.
func TestWindowSizes(t *testing.T) {
	f := load(t, "narrow", narrow)
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		o := options()
		o.Window = size
		got := filter(t, f.plan, newBundle(2<<20), o)
		if got.err != nil {
			t.Fatal(got.err)
		}
		for i, w := range got.windows {
			n := w.end - w.start
			if n > 2*size+8<<10 {
				t.Errorf("window %d of %d: %d bytes, %d asked for", i, len(got.windows), n, size)
			}
		}
		if most := 2*len(got.body)/size + 2; len(got.windows) > most {
			t.Errorf("%d windows of %d bytes for %d bytes", len(got.windows), size, len(got.body))
		}
	}
	o := options()
	if got := filter(t, f.plan, strings.NewReader(`{"resourceType":"Patient","id":"p1"}`), o); len(got.windows) != 1 {
		t.Errorf("%d windows for a small resource, want 1", len(got.windows))
	}
}

var errTest = errors.New("broken on purpose, with a secret in its text")

// sinkFunc is a Sink of a function.
type sinkFunc func(*transforms.Window) error

func (f sinkFunc) Release(w *transforms.Window) error { return f(w) }

// TestSinkFails stops at the window that a sink refuses.
func TestSinkFails(t *testing.T) {
	f := load(t, "narrow", narrow)
	o := options()
	o.Window = 1024
	for _, good := range []int{0, 1, 7} {
		calls := 0
		src := newBundle(1 << 20)
		report, err := f.plan.Filter(sinkFunc(func(w *transforms.Window) error {
			if calls++; calls > good {
				return errTest
			}
			return nil
		}), src, o)
		if !errors.Is(err, transforms.ErrSink) || !errors.Is(err, errTest) {
			t.Errorf("after %d windows: %v", good, err)
		}
		if calls != good+1 {
			t.Errorf("%d windows after the refusal", calls-good-1)
		}
		if report.BytesIn > 512<<10 {
			t.Errorf("read %d bytes for %d windows", report.BytesIn, calls)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the cause's text shows: %v", err)
		}
	}
}

// TestSourceFails hands on what the reader says.
func TestSourceFails(t *testing.T) {
	f := load(t, "narrow", narrow)
	doc := readAll(t, newBundle(20<<10))
	for _, n := range []int{0, 1, 100, 5000, 19 << 10, len(doc)} {
		o := options()
		o.Window = 1024
		got := filter(t, f.plan, io.MultiReader(bytes.NewReader(doc[:n]), iotest.ErrReader(errTest)), o)
		if !errors.Is(got.err, transforms.ErrSource) || !errors.Is(got.err, errTest) {
			t.Errorf("failing after %d bytes: %v", n, got.err)
		}
		if strings.Contains(got.err.Error(), "secret") {
			t.Errorf("the cause's text shows: %v", got.err)
		}
	}
	// An unexpected end is the source's failure, too, but not one to be taken for an end.
	got := filter(t, f.plan, io.MultiReader(bytes.NewReader(doc[:100]), iotest.ErrReader(io.ErrUnexpectedEOF)), options())
	if !errors.Is(got.err, transforms.ErrSource) {
		t.Errorf("unexpected end: %v", got.err)
	}
	// A reader that never gives anything is given up.
	got = filter(t, f.plan, idle{}, options())
	if !errors.Is(got.err, transforms.ErrSource) {
		t.Errorf("no progress: %v", got.err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// refusing is a Tokenizer that fails for one value, and for one kind.
type refusing struct{ value, kind string }

func (r refusing) AppendToken(dst []byte, kind string, value []byte) ([]byte, error) {
	if string(value) == r.value || kind == r.kind {
		return append(dst, "half a tok"...), errTest
	}
	return tokens{}.AppendToken(dst, kind, value)
}

// TestTokenizerFails gives up the stream, whatever the token was for.
func TestTokenizerFails(t *testing.T) {
	for _, f := range []fixture{load(t, "narrow", narrow), load(t, "odd", odd), load(t, "wide", wide)} {
		for _, tokenizer := range []transforms.Tokenizer{
			refusing{value: "p-unsealable"}, refusing{kind: "Organization"}, nil,
		} {
			o := options()
			o.Tokens = tokenizer
			doc := `{"resourceType":"Bundle","entry":[{"fullUrl":"https://ehr.example.org/fhir/Patient/p-unsealable","resource":` +
				`{"resourceType":"Patient","id":"p-unsealable","managingOrganization":{"reference":"Organization/o1"},` +
				`"generalPractitioner":[{"reference":"Organization/o2"}],"active":true}}]}`
			got := filter(t, f.plan, strings.NewReader(doc), o)
			if !errors.Is(got.err, transforms.ErrToken) {
				t.Errorf("%s, %v: %v", f.name, tokenizer, got.err)
			}
			if tokenizer != nil && !errors.Is(got.err, errTest) {
				t.Errorf("%s, %v: %v does not hold the cause", f.name, tokenizer, got.err)
			}
			if bytes.Contains(got.body, []byte("half a tok")) {
				t.Errorf("%s: half a token left: %s", f.name, got.body)
			}
		}
	}
}

// TestReportReused gives one report to several streams: each finds its own figures in it, and nothing of the one before.
func TestReportReused(t *testing.T) {
	f := load(t, "narrow", narrow)
	docs := own(t)
	o := options()
	o.Report = new(transforms.Report)
	for range 2 {
		for _, doc := range docs {
			fresh := filter(t, f.plan, bytes.NewReader(doc.data), options())
			got := filter(t, f.plan, bytes.NewReader(doc.data), o)
			if !reflect.DeepEqual(got.report, fresh.report) || !reflect.DeepEqual(*o.Report, fresh.report) {
				t.Errorf("%s:\n got %v\nwant %v", doc.name, got.report, fresh.report)
			}
		}
	}
}
