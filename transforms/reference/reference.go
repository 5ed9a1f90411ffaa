// Package reference is the filter of transforms done the slow and obvious way, for its tests, and for those
// of what is built on it. It reads the whole document into maps and slices, looks each element's path up in
// the dataset's own rows, and builds what may leave. It shares nothing with the filter but the datasets: no
// plan, no scanner, no order of members.
//
// Nothing but tests imports it.
package reference

import (
	"bytes"
	"slices"

	"github.com/halfdoor/halfdoor/transforms"
)

// oracle prunes one document.
type oracle struct {
	ds          *transforms.Dataset
	compartment transforms.Compartment
	o           transforms.Options

	subjects  map[Subject]bool
	released  map[string]int
	dropped   map[string]map[string]int
	tokenized map[string]int
	removed   map[string]int
	unknown   map[string]int
	missing   map[string]int

	sampled bool // what no row names is counted of the resource at hand

	named      []Subject // in the order of subjects
	nested     int       // Bundles open below the root
	parametric int       // Parameters open

	holds  bool            // the resource at hand lets contained ones leave
	locals map[string]bool // of the resource at hand: whether the contained one of this id leaves
	inside bool            // in a contained one
	leads  []string        // to which it refers, by references that leave

	left, referred map[string]bool // resources that left, and to which these refer

	may []error // kinds that the filter may answer with, or not

	kind string // of the resource at hand

	errs []error // kinds that the filter may answer with; which one comes first is its own matter
}

// Verdict is what leaves of a document, and what is to be reported of it.
type Verdict struct {
	Value    any // what leaves, if there are no Errs: as Parse returns it, of lines a list
	Subjects map[Subject]bool

	Released, Tokenized, Removed, Unknown, Missing map[string]int            // as the filter's Report has them
	Dropped                                        map[string]map[string]int // as well

	May  []error // kinds that the filter may answer with, or not
	Errs []error // kinds of which the filter answers with one
}

// Subject is a resource whom a document discloses something of.
type Subject struct{ Type, ID string }

// Filter is the verdict on a resource or Bundle.
func Filter(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options, doc []byte) Verdict {
	root, err := Parse(doc)
	if err != nil {
		return Verdict{Errs: malformed}
	}
	r := newOracle(ds, c, o)
	return r.verdict(r.root(root))
}

func (r *oracle) verdict(value any) Verdict {
	if len(r.errs) > 0 {
		return Verdict{Errs: r.errs}
	}
	return Verdict{
		Value: value, Subjects: r.subjects, Released: r.released, Dropped: r.dropped, Tokenized: r.tokenized,
		Removed: r.removed, Unknown: r.unknown, Missing: r.missing, May: r.may,
	}
}

func newOracle(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options) *oracle {
	return &oracle{
		ds: ds, compartment: c, o: o,
		subjects: map[Subject]bool{}, released: map[string]int{}, dropped: map[string]map[string]int{},
		tokenized: map[string]int{}, removed: map[string]int{}, unknown: map[string]int{}, missing: map[string]int{},
		left: map[string]bool{}, referred: map[string]bool{},
	}
}

// name adds a subject; forget takes those back that were added since there were mark of them.
func (r *oracle) name(kind, id string) {
	s := Subject{Type: kind, ID: id}
	if !r.subjects[s] {
		r.subjects[s] = true
		r.named = append(r.named, s)
	}
}

func (r *oracle) forget(mark int) {
	for _, s := range r.named[mark:] {
		delete(r.subjects, s)
	}
	r.named = r.named[:mark]
}

func (r *oracle) fail(kind error) { r.errs = append(r.errs, kind) }

// FilterNDJSON is the verdict on newline-delimited JSON.
func FilterNDJSON(ds *transforms.Dataset, c transforms.Compartment, o transforms.Options, doc []byte) Verdict {
	r := newOracle(ds, c, o)
	lines := []any{}
	for line := range bytes.SplitSeq(doc, []byte("\n")) {
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		v, err := Parse(line)
		resource, ok := v.(map[string]any)
		if err != nil || !ok {
			return Verdict{Errs: malformed}
		}
		if r.o.Root != "" && resource["resourceType"] != r.o.Root {
			r.fail(transforms.ErrUnexpectedRoot)
		}
		if v := r.part(resource); v != nil {
			lines = append(lines, v)
		}
	}
	return r.verdict(lines)
}

func (r *oracle) root(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		r.fail(transforms.ErrSyntax)
		return nil
	}
	kind, ok := object["resourceType"].(string)
	if !ok {
		r.fail(transforms.ErrNoType)
		r.fail(transforms.ErrUnexpectedRoot) // of a Bundle's type, while it is taken for one
		return nil
	}
	if r.o.Root != "" && kind != r.o.Root {
		r.fail(transforms.ErrUnexpectedRoot)
		r.fail(transforms.ErrNoType) // of an entry, while it is still taken for the Bundle that was asked for
	}
	if r.o.RootID != "" && object["id"] != r.o.RootID {
		r.fail(transforms.ErrUnexpectedRoot)
	}
	if kind == "Bundle" {
		return r.bundle(object, true)
	}
	switch r.refusal(kind, object) {
	case "type":
		r.fail(transforms.ErrNoRow)
		return nil
	case "label":
		r.fail(transforms.ErrLabel)
		return nil
	case "compartment":
		r.fail(transforms.ErrCompartment)
		return nil
	case "other":
		r.fail(transforms.ErrUnexpectedRoot)
		return nil
	}
	if r.o.Searched != nil && kind != "OperationOutcome" && kind != "Parameters" && !slices.Contains(r.o.Searched, kind) {
		r.fail(transforms.ErrNoRow) // nothing comes before it
		return nil
	}
	return r.resource(kind, object)
}
