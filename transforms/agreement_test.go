package transforms_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// variant is a way of asking for a document.
type variant struct {
	name string
	ask  func(doc []byte, o *transforms.Options)
}

var (
	patientID = regexp.MustCompile(`Patient\\?/([A-Za-z0-9.-]{1,64})`)
	entryID   = regexp.MustCompile(`"resource" ?: ?\{[^{}]{0,80}"id" ?: ?"([A-Za-z0-9.-]{1,64})"`)
	rootType  = regexp.MustCompile(`"resourceType" ?: ?"([A-Za-z]+)"`)
)

var variants = []variant{
	{"plain", func([]byte, *transforms.Options) {}},
	{"links and total", func(_ []byte, o *transforms.Options) { o.Link, o.Total = links, true }},
	{"patient", func(doc []byte, o *transforms.Options) {
		o.Patient = "p1"
		if m := patientID.FindSubmatch(doc); m != nil && !bytes.Contains(doc, []byte(`"p1"`)) {
			o.Patient = string(m[1])
		}
	}},
	{"nobody", func(_ []byte, o *transforms.Options) { o.Patient = "nobody" }},
	{"labels", func(_ []byte, o *transforms.Options) {
		o.DenyLabels = []transforms.Label{
			{System: "urn:nothing", Code: "x"},
			{System: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", Code: "R"},
		}
	}},
	{"labels and patient", func(_ []byte, o *transforms.Options) {
		o.DenyLabels = []transforms.Label{{System: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", Code: "R"}}
		o.Patient = "p1"
	}},
	{"root", func(doc []byte, o *transforms.Options) {
		if m := rootType.FindSubmatch(doc); m != nil {
			o.Root = string(m[1]) // the root's, or one within
		}
	}},
	{"root bundle", func(_ []byte, o *transforms.Options) { o.Root = "Bundle" }},
	{"root id", func(_ []byte, o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }},
	{"entry id", func(doc []byte, o *transforms.Options) {
		o.EntryID = "p1"
		if m := entryID.FindSubmatch(doc); m != nil {
			o.EntryID = string(m[1])
		}
	}},
	{"types", func(doc []byte, o *transforms.Options) {
		o.Types = []string{"Patient", "Claim"}
		if m := rootType.FindAllSubmatch(doc, 2); len(m) > 0 {
			o.Types = append(o.Types, string(m[len(m)-1][1])) // the root's, or one within
		}
	}},
	{"no types", func(_ []byte, o *transforms.Options) { o.Types = []string{} }},
	{"searched", func(doc []byte, o *transforms.Options) {
		o.Searched = []string{"Encounter"}
		if m := rootType.FindAllSubmatch(doc, 2); len(m) > 1 {
			o.Searched = []string{string(m[1][1])} // the first entry's
		}
	}},
	{"no bases", func(_ []byte, o *transforms.Options) { o.EHR = nil }},
}

// sizes of window and look-ahead.
var sizes = []struct{ window, lookahead int }{{0, 0}, {1, 8 << 20}, {700, 8 << 20}, {4096, 4096}, {64, 64}, {1 << 20, 1 << 20}}

// TestAgreement compares the filter with the oracle.
func TestAgreement(t *testing.T) {
	mine := own(t)
	docs := append(mine, foreign(t)...)
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			streams := 0
			for n, doc := range docs {
				for i, v := range variants {
					if len(doc.data) > 300<<10 && i != n%3 {
						continue // the large ones say the same a thousand times
					}
					o := options()
					v.ask(doc.data, &o)
					want := reference.Filter(f.ds, compartment, o, doc.data)
					for j, size := range sizes {
						if n >= len(mine) && j != (n+i)%len(sizes) {
							continue // each size for some
						}
						o.Window, o.Lookahead = size.window, size.lookahead
						for _, src := range readers(doc.data, i) {
							name := fmt.Sprintf("%s, %s, window %d, look-ahead %d, %s",
								doc.name, v.name, size.window, size.lookahead, src.name)
							agree(t, name, doc.data, want, filter(t, f.plan, src.Reader, o), o)
							streams++
						}
						if t.Failed() {
							return // the rest would say the same
						}
					}
				}
			}
			t.Log(streams, "streams")
		})
	}
}

type source struct {
	name string
	io.Reader
}

// readers are the ways in which a document may arrive.
func readers(doc []byte, variant int) []source {
	all := []source{{"at once", bytes.NewReader(doc)}}
	if len(doc) < 6<<10 || variant == 0 && len(doc) < 64<<10 {
		all = append(all, source{"byte by byte", iotest.OneByteReader(bytes.NewReader(doc))})
	}
	if len(doc) < 300<<10 {
		all = append(all,
			source{"7 bytes, and the last with EOF", iotest.DataErrReader(chunks{bytes.NewReader(doc), 7})},
			source{"1000 bytes", chunks{bytes.NewReader(doc), 1000}})
	}
	return all
}

// agree compares one stream with the oracle's verdict.
func agree(t *testing.T, name string, doc []byte, want reference.Verdict, got result, o transforms.Options) {
	t.Helper()
	lookahead := o.Lookahead
	if lookahead == 0 {
		lookahead = transforms.DefaultLookahead
	}
	if lookahead < len(doc) && (errors.Is(got.err, transforms.ErrLookahead) || errors.Is(got.err, transforms.ErrTooLong)) {
		return
	}
	if len(want.Errs) > 0 {
		if !slices.ContainsFunc(want.Errs, func(kind error) bool { return errors.Is(got.err, kind) }) {
			t.Errorf("%s: error %v, want one of %v", name, got.err, want.Errs)
		}
		for _, kind := range []error{transforms.ErrNoRow, transforms.ErrLabel, transforms.ErrCompartment} {
			if errors.Is(got.err, kind) && (len(got.body) > 0 || len(got.subjects) > 0) {
				t.Errorf("%s: %v, but not before %.100q", name, kind, got.body)
			}
		}
		return
	}
	if slices.ContainsFunc(want.May, func(kind error) bool { return errors.Is(got.err, kind) }) {
		return
	}
	if got.err != nil {
		t.Errorf("%s: error %v", name, got.err)
		return
	}
	value, err := reference.Parse(got.body)
	if _, lines := want.Value.([]any); lines {
		value, err = reference.ParseLines(got.body)
	}
	if err != nil {
		t.Errorf("%s: what left is %v: %.300q", name, err, got.body)
		return
	}
	if !reflect.DeepEqual(value, want.Value) {
		t.Errorf("%s: %s", name, reference.Difference("", value, want.Value))
	}
	if !equal(got.subjects, want.Subjects) {
		t.Errorf("%s: subjects\n got %v\nwant %v", name, sorted(got.subjects), sorted(want.Subjects))
	}
	r := got.report
	if r.BytesIn != int64(len(doc)) || r.BytesOut != int64(len(got.body)) {
		t.Errorf("%s: report counts %d bytes in and %d out, want %d and %d", name, r.BytesIn, r.BytesOut, len(doc), len(got.body))
	}
	for _, counts := range []struct {
		what      string
		got, want map[string]int
	}{
		{"released", r.Released, want.Released}, {"tokenized", r.Tokenized, want.Tokenized}, {"removed", r.Removed, want.Removed},
		{"dropped by type", r.Dropped["type"], want.Dropped["type"]}, {"dropped by label", r.Dropped["label"], want.Dropped["label"]},
		{"dropped by compartment", r.Dropped["compartment"], want.Dropped["compartment"]},
		{"unknown", r.Unknown, bounded(want.Unknown, r.Unknown)}, {"missing", r.Missing, want.Missing},
	} {
		if !maps.Equal(counts.got, counts.want) {
			t.Errorf("%s: %s\n got %v\nwant %v", name, counts.what, counts.got, counts.want)
		}
	}
}

// bounded is what a stream should count of unknown members: where they have more paths than it tells apart, the oracle
// does not know which came first, and takes the stream's word for that.
func bounded(want, got map[string]int) map[string]int {
	if len(want) <= 64 {
		return want
	}
	out, rest := map[string]int{}, 0
	for path, n := range want {
		if got[path] > 0 {
			out[path] = min(n, got[path])
			n -= out[path]
		}
		rest += n
	}
	if rest > 0 {
		out["?"] = rest
	}
	if len(out) != 65 {
		return want // more or fewer than should be told apart
	}
	return out
}

// TestTruncated cuts documents at every byte: none may end well, nor be closed neatly.
func TestTruncated(t *testing.T) {
	names := regexp.MustCompile(`^(contained|parameters|bundle-links|bundle-batch|bundle-history|bundle-sorted|names|labels|widened|patient-late-type|outcome|numbers)\.json$`)
	for _, f := range fixtures(t) {
		for _, doc := range own(t) {
			if !names.MatchString(doc.name) {
				continue
			}
			data := bytes.TrimSpace(doc.data)
			o := options()
			o.Link, o.Window = links, 256
			for n := range data {
				for _, src := range []io.Reader{bytes.NewReader(data[:n]), iotest.OneByteReader(bytes.NewReader(data[:n]))} {
					got := filter(t, f.plan, src, o)
					if !errors.Is(got.err, transforms.ErrTruncated) && !errors.Is(got.err, transforms.ErrNoRow) {
						t.Errorf("%s, %s, cut at %d: %v", f.name, doc.name, n, got.err)
					}
					if _, err := reference.Parse(got.body); err == nil {
						t.Errorf("%s, %s, cut at %d: closed neatly: %s", f.name, doc.name, n, got.body)
					}
				}
				if t.Failed() {
					break
				}
			}
		}
	}
}

// TestConcurrent uses one plan for many streams at a time.
func TestConcurrent(t *testing.T) {
	f := load(t, "narrow", narrow)
	docs := own(t)
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for n := range 40 {
				doc := docs[(i+n)%len(docs)]
				o := options()
				want := reference.Filter(f.ds, compartment, o, doc.data)
				agree(t, doc.name, doc.data, want, filter(t, f.plan, bytes.NewReader(doc.data), o), o)
				// What a broken stream leaves behind must not show in the next.
				filter(t, f.plan, strings.NewReader(string(doc.data[:len(doc.data)/2])), o)
			}
		})
	}
}
