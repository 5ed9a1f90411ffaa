package transforms

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
)

// A stream, from its first byte to its last.
//
//	source    the window on the input (source.go), scanned by skip (scan.go) and text (text.go)
//	members   follows the plan (resource.go); kept, below a kept element (kept.go)
//	reference rewrites what names a resource (reference.go)
//	bundle    entries, links (bundle.go)
//	out       what is to be released, held back from hold on (window.go)
//
// Invariants:
//   - Each function of a value begins with r at the value's first byte, and ends with r behind it.
//     It appends to out either the whole value, and returns true, or returns false, and its caller
//     cuts out to where it was, with the name and the comma before it.
//   - While hold is set, out only grows, or is cut to what it was before: nothing is released.
//   - A resource is held until its end, since its id, a label or a reference that decides whether
//     it leaves, and whom it names, may come last.
//   - depth counts the containers open around r; steps say where in them r is.
type filter struct {
	source
	plan *Plan
	opt  Options
	dst  Sink

	out      []byte
	hold     int
	depth    int
	steps    [MaxDepth + 2]step
	keys     keys
	bases    [MaxDepth]int32 // of skip
	seed     uint64
	nameAt   int    // where the name last scanned begins in buf
	scratch  []byte // a text unescaped
	raw      []byte // a name in its quotes
	coded    coded
	kind     []byte   // the resourceType last found by typeOf
	kinds    []string // types met that are not in the plan, in this stream or before
	recent   [16]*row // of types met
	key      []byte   // of a subject
	baseText []byte   // Options.Base as a JSON string
	gateway  []byte   // the same without quotes
	res      resource
	spare    [2]resource // buffers for one inside it: in Parameters, and contained
	asides   int
	sought   repeated // entry.search
	full     full
	bun      bundling // the innermost Bundle open
	nested   int      // how many are open below the root
	within   int      // how many Parameters are open
	locals   []local  // contained in the resource at hand
	met      int      // how many of them were filtered
	moved    moved
	marked   bool // the resource at hand has dates that are to be moved
	untidy   bool // it has lists that may have to be aligned
	tidier   tidier

	subjects subjects
	linked   linked
	tally    tally
	habits   habits
	report   *Report
	window   Window // at the sink
}

// step is where a container is at: at a member or an element.
type step struct {
	name  string
	index int // of the element; -1 with a name
}

var (
	errBadRead = errors.New("reader returned an impossible count")
	errNoToken = errors.New("no tokenizer")

	errNoShifter = errors.New("no shifter")
	errNoHasher  = errors.New("no hasher")
)

func newFilter(p *Plan) *filter {
	return &filter{plan: p, tally: newTally(len(p.nodes), p.numbered, len(p.required))}
}

// Filter streams src through the plan to dst. It returns what was done so far also with an error,
// which is an [*Error]. Before the first Release, an error means that nothing has left.
func (p *Plan) Filter(dst Sink, src io.Reader, o Options) (Report, error) {
	return p.stream(dst, src, o, (*filter).run)
}

func (p *Plan) stream(dst Sink, src io.Reader, o Options, run func(*filter) error) (Report, error) {
	f := p.pool.Get().(*filter)
	f.reset(dst, src, o)
	err := run(f)
	if err != nil {
		f.sum()
	}
	report := *f.report
	f.forget()
	p.pool.Put(f)
	return report, err
}

func (f *filter) reset(dst Sink, src io.Reader, o Options) {
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.Lookahead <= 0 {
		o.Lookahead = DefaultLookahead
	}
	f.dst, f.opt, f.seed = dst, o, rand.Uint64()
	f.hold, f.depth, f.nested, f.within, f.asides = -1, 0, 0, 0, 0
	f.moved, f.marked, f.untidy = moved{}, false, false
	if f.report = o.Report; f.report == nil {
		f.report = new(Report)
	}
	f.baseText = appendQuoted(f.baseText[:0], o.Base)
	f.gateway = f.baseText[1 : len(f.baseText)-1]
	f.open(src)
}

// forget drops what the stream held: references, and buffers that it made grow. What was in the
// buffers that stay is overwritten by the next stream, not read.
func (f *filter) forget() {
	f.dst, f.src, f.err, f.opt, f.report = nil, nil, nil, Options{}, nil
	f.empty(&f.spilled)
	f.empty(&f.again)
	if len(f.buf) != bufferBytes+pad {
		f.buf = nil
	}
	if cap(f.out) > 4*outBytes {
		f.out = nil
	}
	if cap(f.keys) > 8<<10 {
		f.keys = nil
	}
	if cap(f.scratch) > 4<<10 {
		f.scratch = nil
	}
	if cap(f.raw) > 4<<10 {
		f.raw = nil
	}
	if cap(f.coded.system)+cap(f.coded.code) > 4<<10 {
		f.coded = coded{}
	}
	clear(f.steps[:])
	if cap(f.locals) > 16 {
		f.locals = nil
	}
	f.out, f.keys, f.locals, f.gateway = f.out[:0], f.keys[:0], f.locals[:0], nil
	f.res = resource{id: f.res.id[:0], patient: f.res.patient[:0]}
	f.subjects.reset()
	f.linked.reset()
	f.tally.reset()
	f.habits.reset()
	f.full.reset()
}

func (f *filter) run() error {
	c, err := f.peek()
	if err != nil {
		return f.need(err)
	}
	if c != '{' {
		return f.fail(ErrSyntax)
	}
	found, err := f.typeOf(true)
	switch {
	case err != nil:
		return err
	case !found || string(f.kind) == "Bundle":
		err = f.rootBundle()
	default:
		err = f.single()
	}
	if err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	return f.release(true)
}

// single filters a root that is a resource.
func (f *filter) single() error {
	if f.opt.Root != "" && string(f.kind) != f.opt.Root {
		return f.fail(ErrUnexpectedRoot)
	}
	r := f.row()
	if r == nil {
		return f.fail(ErrNoRow)
	}
	f.hold = 0
	if err := f.resource(r); err != nil {
		return err
	}
	if f.opt.RootID != "" && string(f.res.id) != f.opt.RootID {
		return f.fail(ErrUnexpectedRoot)
	}
	switch f.verdict(r) {
	case causeLabel:
		return f.fail(ErrLabel)
	case causeCompartment:
		return f.fail(ErrCompartment)
	case causeStray:
		return f.fail(ErrNoRow)
	case causeOther:
		return f.fail(ErrUnexpectedRoot)
	}
	f.hold = -1
	return f.commit(r)
}

// row returns the row by which resources of the type that typeOf found leave, or nil.
func (f *filter) row() *row {
	switch string(f.kind) {
	case "OperationOutcome":
		return f.plan.outcome
	case "Bundle":
		return f.plan.bundle
	case "Parameters":
		return f.allowed(f.plan.parameters)
	}
	return f.allowed(f.rowOf(f.kind))
}

// rowOf returns the dataset's row of a type, or nil. The types of one stream are few, and come again.
func (f *filter) rowOf(kind []byte) *row {
	if len(kind) == 0 {
		return nil
	}
	recent := &f.recent[(len(kind)^int(kind[0]))%len(f.recent)]
	if r := *recent; r != nil && r.kind == string(kind) {
		return r
	}
	r := f.plan.rows[string(kind)]
	if r != nil {
		*recent = r
	}
	return r
}

// allowed returns the row if the stream's types have it, or nil.
func (f *filter) allowed(r *row) *row {
	if r != nil && f.opt.Types != nil && !slices.Contains(f.opt.Types, r.kind) {
		return nil
	}
	return r
}

func (f *filter) fail(kind error) error { return f.failBy(kind, nil) }

func (f *filter) failBy(kind, cause error) error {
	return &Error{Kind: kind, Offset: f.base + int64(f.r), Pointer: f.pointer(), err: cause}
}

func (f *filter) pointer() string {
	var b []byte
	for _, s := range f.steps[1:max(1, min(f.depth, MaxDepth)+1)] {
		switch {
		case s.name != "":
			b = append(append(b, '/'), s.name...)
		case s.index >= 0:
			b = strconv.AppendInt(append(b, '/'), int64(s.index), 10)
		}
	}
	return string(b)
}

// validate reports whether doc is one JSON text by the rules of the package, an object or an array as
// its opening byte says.
func validate(doc []byte, open byte) error {
	f := newFilter(&Plan{nodes: []*node{nil}})
	f.out = []byte{} // nothing leaves
	f.reset(nil, bytes.NewReader(doc), Options{buffer: min(len(doc)+pad, bufferBytes)})
	c, err := f.peek()
	if err != nil {
		return f.need(err)
	}
	if c != open {
		return f.fail(ErrSyntax)
	}
	if err := f.skip(false); err != nil {
		return err
	}
	return f.end()
}

// end insists on the end of the input.
func (f *filter) end() error {
	switch _, err := f.peek(); {
	case err == io.EOF:
		return nil
	case err == nil, errors.Is(err, ErrSyntax):
		return f.fail(ErrTrailing)
	default:
		return err
	}
}
