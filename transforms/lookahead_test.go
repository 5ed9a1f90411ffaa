package transforms_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestFarAhead has everything that is looked ahead for farther away than the window is wide: what was scanned is kept
// in pieces, and scanned again.
func TestFarAhead(t *testing.T) {
	docs := own(t)
	var lines []byte
	for _, doc := range docs {
		line := bytes.ReplaceAll(bytes.TrimSpace(doc.data), []byte("\n"), []byte(" "))
		lines = append(append(lines, line...), '\n')
	}
	all := readAll(t, newBundle(40<<10))
	sorted := bytes.Replace(all, []byte(`{"resourceType":"Bundle","type":"searchset",`), []byte(`{`), 1)
	sorted = append(bytes.TrimSuffix(bytes.TrimSpace(sorted), []byte("}")), `,"resourceType":"Bundle","type":"searchset"}`...)
	docs = append(docs, document{"sorted", sorted})
	for _, f := range fixtures(t) {
		for _, lookahead := range []int{0, 5000, 600} {
			for _, window := range []int{1, 0} {
				o := transforms.Buffered(options(), 512)
				o.Lookahead, o.Window = lookahead, window
				o.DenyLabels = []transforms.Label{{System: "urn:nothing", Code: "x"}}
				for _, doc := range docs {
					want := reference.Filter(f.ds, compartment, o, doc.data)
					for _, src := range []io.Reader{bytes.NewReader(doc.data), iotest.OneByteReader(bytes.NewReader(doc.data)), iotest.DataErrReader(bytes.NewReader(doc.data))} {
						agree(t, doc.name, doc.data, want, filter(t, f.plan, src, o), o)
					}
				}
				want := reference.FilterNDJSON(f.ds, compartment, o, lines)
				for _, src := range []io.Reader{bytes.NewReader(lines), iotest.OneByteReader(bytes.NewReader(lines)), chunks{bytes.NewReader(lines), 700}} {
					agree(t, "lines", lines, want, stream(t, f.plan.FilterNDJSON, src, o), o)
				}
			}
		}
	}
}

// TestLookaheadMemory measures what is alive while a resource is held that is nearly as large as may be, and whose
// type comes last: what was read is let go while what leaves grows.
func TestLookaheadMemory(t *testing.T) {
	f := load(t, "wide", wide)
	name := strings.Repeat(`{"family":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},`, 900<<10/48)
	doc := `{"resourceType":"Bundle","entry":[{"resource":{"name":[` + name + `{}],"resourceType":"Patient"}}]}`
	var most uint64
	alive := func() {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapAlloc)
	}
	runtime.GC()
	alive()
	before := most
	o := options()
	o.Tokens = tokens{}
	if _, err := f.plan.Filter(sinkFunc(func(*transforms.Window) error { alive(); return nil }), watched{strings.NewReader(doc), alive}, o); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KB alive", (most-before)>>10)
	if most-before > 1300<<10 {
		t.Errorf("%d KB alive", (most-before)>>10)
	}
	o.Lookahead = 800 << 10
	if _, err := f.plan.Filter(sinkFunc(func(*transforms.Window) error { return nil }), strings.NewReader(doc), o); !errors.Is(err, transforms.ErrLookahead) {
		t.Errorf("beyond the look-ahead: %v", err)
	}
}

// watched calls a function at each read.
type watched struct {
	io.Reader
	before func()
}

func (w watched) Read(p []byte) (int, error) {
	w.before()
	return w.Reader.Read(p)
}
