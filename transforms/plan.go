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
	writes     map[string]*writable // what can be written, of the types of which something can
	outcome    *row
	bundle     *row
	parameters *row
	nodes      []*node    // by index of their counters
	numbered   int        // how many rows there are, the built-in ones among them
	entered    int32      // paths of which rows name parts
	required   []string   // paths that the dataset requires, each type's together
	pool       *sync.Pool // of filters
}

// row is what the plan knows of one resource type.
type row struct {
	kind        string
	root        *node
	number      int   // of the row in the plan
	first, last int32 // of the counters of its nodes
	member      bool  // of patients' compartments
	tagged      bool  // carries SUBSETTED
	subject     bool  // is named as a subject where it has an id
	bundle      bool  // a Bundle's, inside another resource
	parameters  bool  // of Parameters
	contains    bool  // contained resources leave
	required    int32 // where its paths begin in the plan's; its root's need tells how many they are
}

// Compile makes a plan of a dataset. It joins all problems in one error.
func Compile(ds *Dataset, patient Compartment) (*Plan, error) {
	if ds == nil {
		return nil, errors.New("no dataset")
	}
	if problems := ds.problems(); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	p := &Plan{dataset: ds, rows: map[string]*row{}, writes: map[string]*writable{}, nodes: []*node{nil}}
	for _, kind := range slices.Sorted(maps.Keys(ds.Resources)) {
		if kind == "Parameters" {
			continue // built in
		}
		parts, member := patient[kind]
		p.rows[kind] = p.compile(&row{kind: kind, member: member, tagged: true, subject: true}, ds.Resources[kind], parts)
	}
	for kind := range ds.Write {
		if w, _ := ds.writables(kind); w.kids != nil {
			p.writes[kind] = w
		}
	}
	p.outcome = p.compile(&row{kind: "OperationOutcome"}, map[string]Rule{
		"issue.severity": {Method: Keep},
		"issue.code":     {Method: Keep},
	}, nil)
	for _, k := range p.outcome.root.kid("issue").kids {
		k.role = codeRole
	}
	p.parameters = p.compile(&row{kind: "Parameters", parameters: true}, ds.Resources["Parameters"], nil)
	at := int32(len(p.nodes))
	p.bundle = &row{kind: "Bundle", root: &node{path: "Bundle", index: at}, number: p.numbered, first: at, last: at + 1, bundle: true}
	p.numbered++
	p.nodes = append(p.nodes, p.bundle.root)
	p.pool = &sync.Pool{New: func() any { return newFilter(p) }}
	return p, nil
}

// Dataset returns what the plan was compiled from. It must not be changed.
func (p *Plan) Dataset() *Dataset { return p.dataset }

// Has reports whether resources of a type can leave.
func (p *Plan) Has(resourceType string) bool { return p.rows[resourceType] != nil }

// Method returns how a whole element leaves, named by its path below the resource type: Remove
// where a part of it does not, where its parts leave each in its own way, or where a condition
// decides. Below a kept element that is Keep, except for what keeping leaves out.
func (p *Plan) Method(resourceType, path string) Method {
	r := p.rows[resourceType]
	switch {
	case r == nil || path == "":
		return Remove
	case path == "resourceType":
		return Keep
	}
	return r.root.how(path)
}

// how returns how the element at a path below the node leaves.
func (n *node) how(path string) Method {
	switch {
	case n.variants != nil:
		return n.agreed(func(v *node) Method { return v.how(path) })
	case n.leaf() && path == "" && n.role == refRole && n.method == Keep:
		return Reference // a keep row does not let an id out either
	case n.leaf() && path == "":
		return n.method
	case n.method == Keep:
		return n.inside(path, n.allow)
	case n.method == Reference && path == "reference":
		return Reference
	case n.method == Reference && path == "type":
		return Keep
	case n.leaf():
		return Remove
	case path == "" && n.star != nil && !n.mixed():
		return Keep
	case path == "":
		return Remove
	}
	name, rest, _ := strings.Cut(path, ".")
	k := n.kid(name)
	switch {
	case n.star == nil && (k == nil || k.hidden), k != nil && k.own && k.hidden && k.star == nil:
		return Remove
	case n.star == nil || k != nil && k.own:
		return k.how(rest)
	case leftOut(name)&^textName != 0:
		return Remove
	case name == "reference" && rest == "":
		return Reference
	case k != nil:
		return k.how(rest)
	}
	return k.inside(rest, 0)
}

// inside returns how an element leaves that is inside one that is kept. The node may be nil.
func (n *node) inside(path string, allow names) Method {
	if path == "" {
		return Keep
	}
	name, rest, _ := strings.Cut(path, ".")
	var k *node
	if n != nil {
		k = n.kid(name)
	}
	allowed := func(k *node) Method {
		allow := allow
		if k != nil && k.leaf() {
			allow |= k.allow
		}
		// A text is left out only where it is a narrative, of which divName tells.
		if leftOut(name)&^textName&^allow != 0 {
			return Remove
		}
		if name == "reference" && rest == "" {
			return Reference
		}
		return k.inside(rest, allow)
	}
	if k != nil && k.variants != nil {
		return k.agreed(allowed)
	}
	return allowed(k)
}

// agreed returns what all variants say, or Remove.
func (n *node) agreed(say func(*node) Method) Method {
	m := say(n.variants[0])
	for _, v := range n.variants[1:] {
		if say(v) != m {
			return Remove
		}
	}
	return m
}

// mixed reports whether a row below a star says otherwise.
func (n *node) mixed() bool {
	return slices.ContainsFunc(n.kids, func(k *node) bool { return k.own || k.mixed() })
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
	r.number = p.numbered
	p.numbered++
	r.root, _ = build(r.kind, rules, parts)
	r.root.kid("resourceType").role = typeRole
	id, meta := r.root.kid("id"), r.root.kid("meta")
	id.role = idRole
	r.root.kid("resourceType").named, id.named, meta.named = true, true, true
	p.require(r)
	if security := meta.kid("security"); security != nil {
		security.role = labelRole
	}
	if n := r.root.kid("contained"); n != nil && n.method == Keep {
		n.method, n.role, r.contains = Remove, containedRole, true
	}
	if r.parameters {
		growParameters(r.root)
	}
	if r.tagged {
		meta.role = metaRole
	}
	if r.root.star != nil {
		r.root.kid("resourceType").own, id.own, meta.own = true, true, true
		if id.star != nil { // no row of its own
			id.star, id.method, id.hidden = nil, Keep, false
		}
	}
	r.first = int32(len(p.nodes))
	entered := map[string]int32{}
	r.root.walk(func(n *node) {
		if n.enters != 0 {
			if entered[n.path] == 0 {
				p.entered++
				entered[n.path] = p.entered
			}
			n.enters = entered[n.path]
		}
		if n.name == "reference" && n.role == plain {
			n.role = refRole
		}
		n.member = []byte(`"` + n.name + `":`)
		if n.kind = n.path; n.role == idRole {
			n.kind = r.kind
		}
		if !n.hidden || n.role == metaRole && (n.star != nil || !n.own) {
			n.index = int32(len(p.nodes))
			p.nodes = append(p.nodes, n)
		}
	})
	r.last = int32(len(p.nodes))
	r.root.bound()
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

// bound finds the counters of a node and of all below it.
func (n *node) bound() {
	n.low, n.high = n.index, n.index+1
	for _, below := range [...][]*node{n.variants, n.kids} {
		for _, k := range below {
			k.bound()
			switch {
			case k.low == 0:
			case n.low == 0:
				n.low, n.high = k.low, k.high
			default:
				n.low, n.high = min(n.low, k.low), max(n.high, k.high)
			}
		}
	}
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, v := range n.variants {
		v.walk(visit)
	}
	for _, k := range n.kids {
		k.walk(visit)
	}
}
