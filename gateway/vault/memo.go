package vault

import "hash/maphash"

const (
	memoEntries = 1024
	memoSlots   = 2 * memoEntries
	memoText    = 128 << 10
	memoKinds   = 64
	memoValue   = 128 // longer values are not remembered; a byte holds the length of each and of its token
)

// memo remembers tokens by what they are of. When it is full it forgets them all and begins anew: an id comes mostly
// several times in a row, or in every entry, and a memo that stays in the processor's cache gains more than one that
// remembers for longer. It is in two flat pieces, 8 KB and 128 KB at most, so that remembering allocates nothing.
type memo struct {
	kinds []memoKind
	slots [memoSlots]memoSlot // hash table
	count int
	text  []byte // entries: index of the kind, lengths of the value and of the token, value, token
}

// memoKind is a kind of which there were tokens.
type memoKind struct {
	name string
	to   bound // the primary key's associated data
	last int   // the entry found last; -1: none
}

// memoSlot is a place of the hash table.
type memoSlot struct {
	tag   uint16 // of the hash
	entry uint16 // half of where it is in text, which is even, and one; 0: none
}

const memoHead = 3 // bytes of an entry before its value

// seed keeps whoever chooses ids from choosing ones that fall into one place of the table.
var seed = maphash.MakeSeed()

// kind returns the index of a kind; -1 where it is not there.
func (m *memo) kind(name string) int {
	for i := range m.kinds {
		if m.kinds[i].name == name {
			return i
		}
	}
	return -1
}

// addKind returns the index of a new kind; -1 where there is no room.
func (m *memo) addKind(name string) int {
	if len(m.kinds) == memoKinds {
		return -1
	}
	m.kinds = append(m.kinds, memoKind{name: name, last: -1})
	return len(m.kinds) - 1
}

// find returns the token of a value of a kind, valid until the next add; nil where there is none. The hash is for add.
func (m *memo) find(kind int, value []byte) (token []byte, hash uint32) {
	k := &m.kinds[kind]
	if k.last >= 0 {
		if token := m.token(k.last, kind, value); token != nil {
			return token, 0
		}
	}
	// Another kind has other bits.
	hash = uint32((maphash.Bytes(seed, value) + uint64(kind)*0x9e3779b97f4a7c15) >> 32)
	for i := hash % memoSlots; m.slots[i].entry != 0; i = (i + 1) % memoSlots {
		if m.slots[i].tag != tag(hash) {
			continue
		}
		at := 2 * (int(m.slots[i].entry) - 1)
		if token := m.token(at, kind, value); token != nil {
			k.last = at
			return token, hash
		}
	}
	return nil, hash
}

// tag has other bits of a hash than its place in the table.
func tag(hash uint32) uint16 { return uint16(hash >> 16) }

// token returns the token of an entry where it is this value's; else nil.
func (m *memo) token(at, kind int, value []byte) []byte {
	e := m.text[at:]
	from := memoHead + len(value)
	if int(e[0]) != kind || int(e[1]) != len(value) || string(e[memoHead:from]) != string(value) {
		return nil
	}
	return e[from : from+int(e[2])]
}

// add remembers a token that find has not found. The value is no longer than memoValue.
func (m *memo) add(kind int, hash uint32, value, token []byte) {
	if m.count == memoEntries || len(m.text)+memoHead+len(value)+len(token)+2 > memoText {
		m.forget()
	}
	m.count++
	at := len(m.text)
	m.text = append(m.text, byte(kind), byte(len(value)), byte(len(token)))
	m.text = append(append(m.text, value...), token...)
	if len(m.text)%2 != 0 {
		m.text = append(m.text, 0)
	}
	m.kinds[kind].last = at
	i := hash % memoSlots
	for m.slots[i].entry != 0 {
		i = (i + 1) % memoSlots
	}
	m.slots[i] = memoSlot{tag(hash), uint16(at/2 + 1)}
}

// forget has the tokens forgotten, but not the kinds: what was a patient's id is overwritten now.
func (m *memo) forget() {
	clear(m.text)
	clear(m.slots[:])
	m.text, m.count = m.text[:0], 0
	for i := range m.kinds {
		m.kinds[i].last = -1
	}
}

// empty forgets everything.
func (m *memo) empty() {
	if m.count > 0 {
		m.forget()
	}
	clear(m.kinds)
	m.kinds = m.kinds[:0]
}
