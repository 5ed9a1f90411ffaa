package transforms_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/transforms"
)

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

// TestStreamMemory measures what one stream holds at its end, with the tables that it has grown.
func TestStreamMemory(t *testing.T) {
	doc := readAll(t, newBundle(8<<20))
	o := options()
	o.Tokens, o.Report = verbatim{}, new(transforms.Report)
	least := uint64(math.MaxUint64)
	for range 3 { // the runtime's own comes and goes
		plan := load(t, "narrow", narrow).plan
		src := bytes.NewReader(doc)
		before := alive()
		held := uint64(0)
		if _, err := plan.Filter(sinkFunc(func(w *transforms.Window) error {
			if w.Last {
				held = alive() - before
			}
			return nil
		}), src, o); err != nil {
			t.Fatal(err)
		}
		least = min(least, held)
	}
	t.Logf("%d bytes", least)
	if least > 128<<10 {
		t.Errorf("a stream holds %d bytes", least)
	}
}

// alive returns the bytes on the heap that something refers to.
func alive() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
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

// TestAllocationsOfTokens counts what tokens of a real vault cost: a Sealer, however many ids there are.
func TestAllocationsOfTokens(t *testing.T) {
	keys, err := vault.NewKeyset(rand.NewChaCha8([32]byte{}), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(vault.Options{Keyset: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	plan := load(t, "tokens", `{"resources": {"Observation": {"id": "token", "subject": "reference"}}}`).plan
	o := options()
	o.Report = new(transforms.Report)
	allocations := func(entries, distinct int) float64 {
		resources := make([]string, entries)
		for i := range resources {
			resources[i] = fmt.Sprintf(`{"resource":{"resourceType":"Observation","id":"o%d","subject":{"reference":"Patient/p%[1]d"}}}`, i%distinct)
		}
		doc := bundleOf(resources)
		src := bytes.NewReader(nil)
		least := math.Inf(1)
		for range 20 { // as above
			least = min(least, testing.AllocsPerRun(1, func() {
				src.Reset(doc)
				tokens, err := v.Sealer("", "app", "ehr")
				if err != nil {
					t.Fatal(err)
				}
				o.Tokens = tokens
				if _, err := plan.Filter(drain{}, src, o); err != nil {
					t.Fatal(err)
				}
				tokens.Release()
			}))
		}
		return least
	}
	few, often, many := allocations(100, 50), allocations(4000, 50), allocations(4000, 1000)
	if few > 1 || often > 1 || many > 1 {
		t.Errorf("%v allocations for 100 ids, %v where each comes forty times as often, %v for 2,000 ids", few, often, many)
	}
}

type drain struct{}

func (drain) Release(*transforms.Window) error { return nil }

type verbatim struct{}

func (verbatim) AppendToken(dst []byte, _ string, value []byte) ([]byte, error) {
	return append(dst, value...), nil
}
