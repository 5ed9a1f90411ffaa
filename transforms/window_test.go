package transforms_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"runtime"
	"slices"
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

// TestConstantMemory streams 1 MB and 64 MB and looks at what is alive on the way.
func TestConstantMemory(t *testing.T) {
	f := load(t, "narrow", narrow)
	peak := func(size int) uint64 {
		var most uint64
		var stats runtime.MemStats
		windows := 0
		o := options()
		if _, err := f.plan.Filter(sinkFunc(func(w *transforms.Window) error {
			if windows++; windows%64 == 0 || w.Last {
				runtime.GC()
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapAlloc)
			}
			return nil
		}), newBundle(size), o); err != nil {
			t.Fatal(err)
		}
		return most
	}
	peak(1 << 20)
	small, large := peak(1<<20), peak(64<<20)
	t.Logf("alive: %d KB in 1 MB, %d KB in 64 MB", small>>10, large>>10)
	if large > small+1<<20 {
		t.Errorf("%d bytes alive in a stream of 64 MB, %d in one of 1 MB", large, small)
	}
}

// newBundle is a searchset of about size bytes: Patients, their Encounters and Observations, all different.
func newBundle(size int) io.Reader { return &bundle{size: size} }

type bundle struct {
	size, n, made int
	done          bool
	buf           []byte
}

func (b *bundle) Read(p []byte) (int, error) {
	for len(b.buf) == 0 {
		if b.done {
			return 0, io.EOF
		}
		if b.made == 0 {
			b.buf = append(b.buf, `{"resourceType":"Bundle","type":"searchset","total":12345,"link":[{"relation":"self","url":"https://ehr.example.org/fhir/Observation"}],"entry":[`...)
		}
		if b.done = b.made >= b.size; !b.done {
			if b.n > 0 {
				b.buf = append(b.buf, ',')
			}
			b.entry()
		} else {
			b.buf = append(b.buf, "]}\n"...)
		}
		b.made += len(b.buf)
	}
	n := copy(p, b.buf)
	b.buf = b.buf[n:]
	if len(b.buf) == 0 {
		b.buf = b.buf[:0]
	}
	return n, nil
}

func (b *bundle) entry() {
	b.n++
	patient, kind := b.n/10, "Observation"
	switch b.n % 10 {
	case 1:
		kind = "Patient"
	case 2, 3:
		kind = "Encounter"
	case 4:
		kind = "Claim"
	}
	b.buf = fmt.Appendf(b.buf, `{"fullUrl":"https://ehr.example.org/fhir/%s/%c%d","resource":{"resourceType":"%s","id":"%c%d",`+
		`"meta":{"versionId":"1","lastUpdated":"2024-02-03T04:05:06.789+00:00","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-%s"]},`,
		kind, kind[0], b.n, kind, kind[0], b.n, kind)
	switch kind {
	case "Patient":
		b.buf = fmt.Appendf(b.buf, `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Patient %d</div>"},`+
			`"identifier":[{"system":"https://github.com/synthetichealth/synthea","value":"%d"}],"name":[{"use":"official","family":"Schmidt%d","given":["José","Anna"]}],`+
			`"telecom":[{"system":"phone","value":"555-%d"}],"gender":"female","birthDate":"1961-05-%02d","address":[{"line":["1 High Street"],"city":"Boston"}]`,
			b.n, b.n, b.n, b.n, b.n%28+1)
	case "Encounter":
		b.buf = fmt.Appendf(b.buf, `"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},`+
			`"subject":{"reference":"Patient/P%d","display":"Anna Schmidt"},"period":{"start":"2024-02-03T04:05:06-05:00","end":"2024-02-03T05:05:06-05:00"},`+
			`"serviceProvider":{"reference":"https://ehr.example.org/fhir/Organization/org%d","display":"General"}`, patient*10+1, b.n%50)
	default:
		b.buf = fmt.Appendf(b.buf, `"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],`+
			`"code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"subject":{"reference":"Patient/P%d"},`+
			`"encounter":{"reference":"Encounter/E%d"},"effectiveDateTime":"2024-02-03T04:05:06-05:00","issued":"2024-02-03T04:05:06.789-05:00",`+
			`"valueQuantity":{"value":%d.%03d0,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}`, patient*10+1, b.n, b.n%200, b.n%1000)
	}
	b.buf = append(b.buf, `},"search":{"mode":"match"}}`...)
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
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

// TestAllocations holds a stream to what it may allocate, whatever its size: nothing that grows with it.
func TestAllocations(t *testing.T) {
	narrow := load(t, "narrow", narrow)
	holding := load(t, "holding", `{"resources": {"Patient": {"id": "keep", "birthDate": "shift", "contact": "keep"},
		"Observation": {"id": "keep", "contained": "keep", "subject": "reference", "code": "keep"}}}`)
	late := `{"id":"p1","birthDate":"1970-01-01","photo":[{"data":"` + strings.Repeat("x", 30<<10) + `"}],"text":{"div":"` +
		strings.Repeat("y", 90<<10) + `"},"resourceType":"Patient"}`
	labelled := `{"resourceType":"Observation","meta":{"security":[{"system":"s","code":"N"},{"system":"a long system","code":"x"}]},"subject":{"reference":"Patient/p1"},` +
		`"contained":[{"resourceType":"Patient","id":"a"},{"resourceType":"Claim","id":"b"},{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}]}`
	for _, c := range []struct {
		name string
		f    fixture
		doc  []byte
		line bool
	}{
		{"20 KB", narrow, readAll(t, newBundle(20<<10)), false},
		{"4 MB", narrow, readAll(t, newBundle(4<<20)), false},
		{"types that come late", holding, bundleOf(slices.Repeat([]string{`{"resource":` + late + `}`}, 9)), false},
		{"lines", holding, []byte(strings.Repeat(late+"\n", 9)), true},
		{"labels, and what is contained", holding, bundleOf(slices.Repeat([]string{`{"resource":` + labelled + `}`}, 99)), false},
		{"Parameters", holding, []byte(`{"resourceType":"Parameters","parameter":[` + strings.Repeat(`{"name":"x","resource":`+labelled+`},`, 99) + `{"name":"x"}]}`), false},
	} {
		src := bytes.NewReader(nil)
		o := options()
		o.Tokens, o.Report, o.DenyLabels = verbatim{}, new(transforms.Report), []transforms.Label{{System: "s", Code: "R"}}
		run := c.f.plan.Filter
		if c.line {
			run = c.f.plan.FilterNDJSON
		}
		got := math.Inf(1)
		for range 20 { // the pool may be emptied between two streams: under the race detector it is, now and then
			got = min(got, testing.AllocsPerRun(1, func() {
				src.Reset(c.doc)
				if _, err := run(drain{}, src, o); err != nil {
					t.Fatal(err)
				}
			}))
		}
		if got > 2 {
			t.Errorf("%s: %v allocations for %d bytes", c.name, got, len(c.doc))
		}
	}
}

type drain struct{}

func (drain) Release(*transforms.Window) error { return nil }

type verbatim struct{}

func (verbatim) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(dst, value...), nil
}
