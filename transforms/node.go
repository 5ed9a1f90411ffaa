package transforms

import (
	"encoding/binary"
	"math/bits"
)

// node is an element of a resource type that the plan knows: because a row names it or one below
// it, or because it must be looked at.
type node struct {
	name   string
	path   string // "Patient.identifier.value"
	member []byte // `"name":`
	kind   string // what the tokenizer calls it
	index  int32  // of its counters; 0 is nobody's
	low    int32  // the counters of it and of all below it, from the first on
	high   int32  // and to behind the last
	method Method // of the row; Remove where there is none here
	role   role
	hidden bool   // neither it nor anything below it leaves; it is looked at only
	part   bool   // a Reference here puts the resource into a patient's compartment; with refRole: its reference does
	allow  names  // what keeping here does not leave out
	fixed  string // the value of Fixed, in JSON
	star   *node  // whose row keeps what no row names, here and below
	own    bool   // its row, or a condition, says otherwise than the star above
	named  bool   // a row is of it, or of what is below it
	enters int32  // not 0 where rows are of what is below it alone, and what they do not name is unknown: its path's number
	need   uint64 // its bit among what the dataset requires of a resource; of the root, all bits
	kids   []*node

	questions []question // which variant an object is filtered by
	variants  []*node    // the first where no condition is met; without rows or kids of its own then

	table []slot // kids by name
	shift uint
	mul   uint64
}

// role is what is special about a node.
type role uint8

const (
	plain         role = iota
	typeRole           // resourceType
	idRole             // the resource's id
	metaRole           // the resource's meta
	labelRole          // meta.security
	refRole            // a string here is a Reference's reference
	containedRole      // resources contained, which leave by the rows of their types
	parameterRole      // a parameter or part of Parameters
	nameRole           // its name
	codeRole           // a code that FHIR itself defines, which has no extensions here
	resourceRole       // its resource
)

// names is a set of the names that keeping leaves out.
type names uint8

const (
	extensionName names = 1 << iota
	modifierName
	containedName
	divName
	displayName
	textName
)

// leaf reports whether a row is of this very element.
func (n *node) leaf() bool { return n.method != Remove }

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// slot is a place in a node's table. Names that share one are chained.
type slot struct {
	lo, hi uint64
	n      int
	node   *node
	next   *slot
}

// slack is what may be read behind a name.
const slack = 16

// key16 loads the name b[i:i+n] into two words, which tell names of up to 16 bytes apart. It
// reads up to b[i+slack-1].
func key16(b []byte, i, n int) (lo, hi uint64) {
	lo = binary.LittleEndian.Uint64(b[i:])
	if n < 8 {
		return lo & (1<<(uint(n)*8) - 1), 0
	}
	return lo, binary.LittleEndian.Uint64(b[i+n-8:])
}

func place(lo, hi uint64, n int, mul uint64) uint64 {
	return (lo ^ bits.RotateLeft64(hi, 23) ^ uint64(n)) * mul
}

// seal makes the tables of a node and of all below it, for names that do not change any more. It
// seeks a multiplier by which no two kids share a slot.
func (n *node) seal() {
	for _, v := range n.variants {
		v.seal()
	}
	for _, k := range n.kids {
		k.seal()
	}
	if len(n.kids) == 0 {
		return
	}
	const first, tries = 0x9E3779B97F4A7C15, 500
	size := uint(bits.Len(uint(len(n.kids))))
	for try := range uint64(4 * tries) {
		if try%tries == 0 {
			size++
		}
		n.shift, n.mul = 64-size, first+2*try
		n.table = make([]slot, 1<<size)
		if n.fill() == 0 {
			return
		}
	}
}

// fill puts the kids into the table, and returns how many had to be chained.
func (n *node) fill() (chained int) {
	for _, k := range n.kids {
		b := append([]byte(k.name), make([]byte, slack)...)
		lo, hi := key16(b, 0, len(k.name))
		s := &n.table[place(lo, hi, len(k.name), n.mul)>>n.shift]
		if s.node != nil {
			chained++
			s.next = &slot{next: s.next}
			s = s.next
		}
		s.lo, s.hi, s.n, s.node = lo, hi, len(k.name), k
	}
	return chained
}

// find returns the kid named b[i:i+ln], or nil. It reads as far as key16.
func (n *node) find(b []byte, i, ln int) *node {
	if n == nil || n.table == nil {
		return nil
	}
	lo, hi := key16(b, i, ln)
	return n.lookup(lo, hi, b, i, ln)
}

// lookup is find for a name that is in lo and hi already, of a node with kids.
func (n *node) lookup(lo, hi uint64, b []byte, i, ln int) *node {
	for s := &n.table[place(lo, hi, ln, n.mul)>>n.shift]; s != nil; s = s.next {
		if s.lo == lo && s.hi == hi && s.n == ln && s.node != nil &&
			(ln <= 16 || string(b[i:i+ln]) == s.node.name) {
			return s.node
		}
	}
	return nil
}
