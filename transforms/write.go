package transforms

import (
	"bytes"
	"errors"
)

// DefaultWriteLimit is the default of WriteOptions.Limit.
const DefaultWriteLimit = 1 << 20

// WriteOptions are of one write.
type WriteOptions struct {
	// Options are those of the stream by which the client is answered, so that its view of the EHR's
	// version is what it was sent: the same tokens, bases, patient and labels. Of what is about a Bundle
	// nothing is asked for, nor Report; RootID is the id that the EHR's version must have.
	Options

	// Open opens the tokens in what the client sends. Without it none opens.
	Open Opener

	// Within, where set, reports whether a reference is to another entry of the same transaction
	// ("urn:uuid:…"), and goes to the EHR as it is.
	Within func(reference string) bool

	// View, where set, is given the outcome as the client will see it, and whom it names: for the record
	// that is made before the EHR is asked. An error refuses the write. In place of a reference Within a
	// transaction it has another, to nothing.
	View Sink

	// Limit bounds what the client sends, and what a patch makes of its view, in bytes; 0 is the
	// default. Neither may have more than 131072 values.
	Limit int
}

// Why a write was refused; a [WriteError] has one of these as its Kind, or one that tells why JSON is
// malformed.
var (
	ErrNotWritable = errors.New("not an element that may be written so")
	ErrUnopened    = errors.New("names nothing that was shown")
	ErrPatch       = errors.New("malformed patch")
	ErrPatchPlace  = errors.New("the patch names a place that is not there")
	ErrPatchTest   = errors.New("a test of the patch failed")
)

// WriteError says why what a client sends is refused. It holds nothing of it but names that an element
// could have. Errors of the EHR's own version are not of this type.
type WriteError struct {
	Kind error  // errors.Is finds it
	Path string // of the element, "participant[1].status"; or of a patch the operation, "[3]"; "" is the whole

	err error
}

// Error returns the kind and the place.
func (e *WriteError) Error() string {
	s := "transforms: write: " + e.Kind.Error()
	if e.Path != "" {
		s += " (" + e.Path + ")"
	}
	return s
}

// Unwrap returns the kind, and the cause where there is one.
func (e *WriteError) Unwrap() []error {
	if e.err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.err}
}

// Writable reports whether the dataset lets a client write any element of a type.
func (p *Plan) Writable(resourceType string) bool { return p.writes[resourceType] != nil }

// Create returns a client's new resource of a type as the EHR is to get it, with tokens opened. Every
// element of it must be writable, and must leave as it was sent; its id, and a meta that says no more
// than what the gateway adds, are left out.
func (p *Plan) Create(kind string, body []byte, o WriteOptions) ([]byte, error) {
	m := &merger{plan: p, kind: kind, o: &o}
	sent, err := m.sent(body)
	if err != nil {
		return nil, err
	}
	named := stringOf(kind)
	skeleton := &value{raw: "{", kids: []value{named.named("resourceType")}}
	o.RootID = ""
	return m.merge(skeleton, skeleton, sent)
}

// Merge returns the EHR's current version with a client's changes of its writable elements, and
// nothing else changed. What the client sends besides must be what it sees of the current version,
// or be left out: its id, and a meta that says no more than what the gateway adds, aside.
//
// A writable element that is left out is removed. What is hidden in one that is changed or removed stays
// where it is; but the display that describes a code or reference goes with it. An element below a list
// is written by its place among those that the client sees. Whether a write is refused, and why, does not
// depend on what is hidden.
//
// Errors of the current version are those of Filter, ErrLabel and ErrCompartment among them; those of
// what the client sends, and of what would become of it, are a [*WriteError].
func (p *Plan) Merge(kind string, current, body []byte, o WriteOptions) ([]byte, error) {
	m := &merger{plan: p, kind: kind, o: &o}
	sent, err := m.sent(body)
	if err != nil {
		return nil, err
	}
	is, view, err := m.version(current)
	if err != nil {
		return nil, err
	}
	return m.merge(is, view, sent)
}

// Patch returns the EHR's current version with the changes that a JSON Patch (RFC 6902) makes. It is
// applied to what the client sees of the current version, so that it can neither test nor copy what is
// hidden; the outcome is merged, and may differ from what the client sees in writable elements only.
func (p *Plan) Patch(kind string, current, patch []byte, o WriteOptions) ([]byte, error) {
	m := &merger{plan: p, kind: kind, o: &o, exact: true}
	if len(patch) > m.limit() {
		return nil, &WriteError{Kind: ErrTooLong}
	}
	operations, err := parsePatch(patch)
	if err != nil {
		return nil, err
	}
	is, view, err := m.version(current)
	if err != nil {
		return nil, err
	}
	sent := view.clone()
	if err := operations.apply(&sent, m.limit()); err != nil {
		return nil, err
	}
	if err := m.typed(&sent); err != nil {
		return nil, err
	}
	return m.merge(is, view, &sent)
}

func (m *merger) limit() int {
	if m.o.Limit > 0 {
		return m.o.Limit
	}
	return DefaultWriteLimit
}

// sent reads what a client sends of a resource.
func (m *merger) sent(body []byte) (*value, error) {
	if len(body) > m.limit() {
		return nil, &WriteError{Kind: ErrTooLong}
	}
	v, err := parse(body, '{')
	if err != nil {
		return nil, refused(err)
	}
	return v, m.typed(v)
}

// typed insists on the type of the resource, and that there is something of it to write.
func (m *merger) typed(v *value) error {
	switch kind := v.get("resourceType"); {
	case !kind.isString():
		return &WriteError{Kind: ErrNoType}
	case text(kind.raw) != m.kind:
		return &WriteError{Kind: ErrUnexpectedRoot, Path: "resourceType"}
	case !m.plan.Writable(m.kind):
		return &WriteError{Kind: ErrNotWritable}
	}
	return nil
}

// version reads the EHR's current version, and the client's view of it.
func (m *merger) version(current []byte) (is, view *value, err error) {
	shown, err := m.view(current, nil, true)
	if err != nil {
		return nil, nil, err
	}
	if is, err = parse(current, '{'); err != nil {
		return nil, nil, err
	}
	view, err = grow(shown)
	return is, view, err
}

// merge lays what is sent over what is, and insists that the client will see what it wrote, where it
// wrote it, and that nothing else changes for it.
func (m *merger) merge(is, view, sent *value) ([]byte, error) {
	now, seen, err := m.object(m.plan.writes[m.kind], is, view, sent)
	if err != nil {
		return nil, err
	}
	probe := now
	if m.o.Within != nil {
		stand := now.clone()
		m.standIn(&stand)
		probe = &stand
	}
	shown, err := m.view(probe.append(nil), m.o.View, false)
	if err != nil {
		return nil, refused(err)
	}
	then, err := parse(shown, '{')
	if err != nil {
		return nil, refused(err)
	}
	if seen.get("meta") == nil {
		then.remove("meta")
	}
	if m.where = ""; !m.same(seen, then) {
		return nil, &WriteError{Kind: ErrNotWritable, Path: m.where}
	}
	return now.append(nil), nil
}

// refused makes an error of the filter one of what the client sent, unless it is the gateway's own.
func refused(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Kind == ErrSink || e.Kind == ErrToken {
		return err
	}
	return &WriteError{Kind: e.Kind, err: err}
}

// view returns what the client sees of a resource, with the places of elements where these are wanted,
// and shows it to a sink where one is given.
func (m *merger) view(resource []byte, also Sink, places bool) ([]byte, error) {
	o := m.o.Options
	o.Root, o.BundleType, o.Report, o.places = m.kind, "", nil, places
	o.Lookahead = max(o.Lookahead, DefaultLookahead, 8*len(resource))
	v := viewer{also: also}
	if _, err := m.plan.Filter(&v, bytes.NewReader(resource), o); err != nil {
		return nil, err
	}
	return v.body, nil
}

// viewer is a sink that keeps what it is given.
type viewer struct {
	body []byte
	also Sink
}

// Release keeps a window.
func (v *viewer) Release(w *Window) error {
	v.body = append(v.body, w.Body...)
	if v.also == nil {
		return nil
	}
	return v.also.Release(w)
}
