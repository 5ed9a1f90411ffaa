package transforms

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Compartment maps a resource type to the paths of the elements that hold a reference to the
// patient whose compartment the resource is in ("subject", "participant.actor"). A Patient is in
// its own by its id. A type without an entry is in no compartment, and passes every one.
type Compartment map[string][]string

// Plan is a dataset made ready to filter with. It does not change, and may be used concurrently.
type Plan struct {
	dataset    *Dataset
	rows       map[string]*row
	outcome    *row
	bundle     *row
	parameters *row
	nodes      []*node // by index of their counters
	pool       *sync.Pool
}

// row is what the plan knows of one resource type.
type row struct {
	kind        string
	root        *node
	first, last int32 // of the counters of its nodes
	member      bool  // of patients' compartments
	tagged      bool  // carries SUBSETTED
	subject     bool  // is named as a subject where it has an id
	bundle      bool  // a Bundle's, inside another resource
	parameters  bool  // of Parameters
	contains    bool  // contained resources leave
}

// Compile makes a plan of a dataset. It joins all problems in one error.
func Compile(ds *Dataset, patient Compartment) (*Plan, error) {
	if ds == nil {
		return nil, errors.New("no dataset")
	}
	if problems := ds.problems(); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	p := &Plan{dataset: ds, rows: map[string]*row{}, nodes: []*node{nil}}
	for _, kind := range slices.Sorted(maps.Keys(ds.Resources)) {
		if kind == "Parameters" {
			continue // built in
		}
		parts, member := patient[kind]
		p.rows[kind] = p.compile(&row{kind: kind, member: member, tagged: true, subject: true}, ds.Resources[kind], parts)
	}
	p.outcome = p.compile(&row{kind: "OperationOutcome"}, map[string]Rule{
		"issue.severity": {Method: Keep},
		"issue.code":     {Method: Keep},
	}, nil)
	p.parameters = p.compile(&row{kind: "Parameters", parameters: true}, ds.Resources["Parameters"], nil)
	at := int32(len(p.nodes))
	p.bundle = &row{kind: "Bundle", root: &node{path: "Bundle", index: at}, first: at, last: at + 1, bundle: true}
	p.nodes = append(p.nodes, p.bundle.root)
	p.pool = &sync.Pool{New: func() any { return newFilter(p) }}
	return p, nil
}

// Dataset returns what the plan was compiled from. It must not be changed.
func (p *Plan) Dataset() *Dataset { return p.dataset }

// Has reports whether resources of a type can leave.
func (p *Plan) Has(resourceType string) bool { return p.rows[resourceType] != nil }

// Method returns how a whole element leaves, named by its path below the resource type: Remove
// where a part of it does not, or where its parts leave each in its own way. Below a kept element
// that is Keep, except for what keeping leaves out.
func (p *Plan) Method(resourceType, path string) Method {
	r := p.rows[resourceType]
	switch {
	case r == nil || path == "":
		return Remove
	case path == "resourceType":
		return Keep
	}
	n := r.root
	for path != "" && !n.leaf() {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if n = n.kid(name); n == nil || n.hidden {
			return Remove
		}
	}
	switch {
	case !n.leaf():
		return Remove
	case path == "" && n.role == refRole && n.method == Keep:
		return Reference // a keep row does not let an id out either
	case path == "":
		return n.method
	case n.method == Keep:
		return below(n, path)
	case n.method == Reference && path == "reference":
		return Reference
	case n.method == Reference && path == "type":
		return Keep
	}
	return Remove
}

// below returns how an element leaves that is inside one that is kept.
func below(n *node, path string) Method {
	allow := n.allow
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if n != nil {
			n = n.kid(name)
		}
		if n != nil && n.leaf() {
			allow |= n.allow
		}
		// A text is left out only where it is a narrative, of which divName tells.
		if left := leftOut(name) &^ textName; left&^allow != 0 {
			return Remove
		}
		if name == "reference" && path == "" {
			return Reference
		}
	}
	return Keep
}

// leftOut returns the set of a name that keeping leaves out, or none.
func leftOut[S ~string | ~[]byte](name S) names {
	if len(name) > len("modifierExtension") {
		return 0
	}
	switch string(name) {
	case "extension":
		return extensionName
	case "modifierExtension":
		return modifierName
	case "contained":
		return containedName
	case "div":
		return divName
	case "display":
		return displayName
	case "text":
		return textName
	}
	return 0
}

func (p *Plan) compile(r *row, rules map[string]Rule, parts []string) *row {
	r.root = &node{path: r.kind}
	for _, path := range slices.Sorted(maps.Keys(rules)) {
		n := r.root
		for name := range strings.SplitSeq(path, ".") {
			n = n.grow(name, false)
		}
		n.method = rules[path].Method
		n.allow = leftOut(n.name)
		if n.allow == textName {
			n.allow |= divName
		}
	}
	if n := r.root.kid("contained"); n != nil {
		n.method, n.role, r.contains = Remove, containedRole, true
	}
	if r.parameters {
		growParameters(r.root)
	}
	for _, path := range parts {
		n := r.root
		for name := range strings.SplitSeq(path, ".") {
			n = n.grow(name, true)
		}
		n.part = true
		// Where nothing of the Reference is kept, it is looked at all the same.
		n.grow("reference", true).part = true
	}
	r.root.grow("resourceType", true).role = typeRole
	r.root.grow("id", true).role = idRole
	meta := r.root.grow("meta", true)
	meta.grow("security", true).role = labelRole
	if r.tagged {
		meta.role = metaRole
	}
	r.root.walk(func(n *node) {
		if n.name == "reference" && n.role == plain {
			n.role = refRole
		}
	})
	r.first = int32(len(p.nodes))
	r.root.walk(func(n *node) {
		n.member = []byte(`"` + n.name + `":`)
		if n.kind = n.path; n.role == idRole {
			n.kind = r.kind
		}
		if !n.hidden || n.role == metaRole {
			n.index = int32(len(p.nodes))
			p.nodes = append(p.nodes, n)
		}
	})
	r.last = int32(len(p.nodes))
	r.root.seal()
	if r.parameters {
		loopParameters(r.root)
	}
	return r
}

// grow returns the kid of a name, made where there is none. A kid made only to be looked at stays
// hidden until a row needs it.
func (n *node) grow(name string, hidden bool) *node {
	k := n.kid(name)
	if k == nil {
		k = &node{name: name, path: n.path + "." + name, hidden: hidden}
		n.kids = append(n.kids, k)
	}
	k.hidden = k.hidden && hidden
	return k
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, k := range n.kids {
		k.walk(visit)
	}
}
