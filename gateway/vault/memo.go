package vault

import "hash/maphash"

const (
	memoEntries = 4096
	memoKinds   = 64
	memoSlots   = 128 // of the first table
	memoValue   = 128 // longer values are not remembered; a byte holds the length of each and of its token
)

// memo remembers tokens by what they are of, up to a bound. What it holds is in two flat pieces, so that remembering
// allocates nothing once they have grown, and finding looks at few places in memory.
type memo struct {
	kinds []memoKind
	slots []memoSlot // hash table; a power of two long, and at most half full
	room  []memoSlot // of which slots is a part
	count int
	text  []byte // entries: index of the kind, lengths of the value and of the token, value, token
}

// memoKind is a kind of which there were tokens.
type memoKind struct {
	name string
	to   bound // the primary key's associated data
	last int   // the entry found last, since an id mostly comes several times in a row; -1: none
}

// memoSlot is a place of the hash table.
type memoSlot struct {
	hash  uint32
	entry uint32 // where it is in text, from 1; 0: none
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
	if len(m.slots) == 0 {
		return nil, hash
	}
	mask := uint32(len(m.slots) - 1)
	for i := hash & mask; m.slots[i].entry != 0; i = (i + 1) & mask {
		if m.slots[i].hash != hash {
			continue
		}
		at := int(m.slots[i].entry) - 1
		if token := m.token(at, kind, value); token != nil {
			k.last = at
			return token, hash
		}
	}
	return nil, hash
}

// token returns the token of an entry where it is this value's; else nil.
func (m *memo) token(at, kind int, value []byte) []byte {
	e := m.text[at:]
	from := memoHead + len(value)
	if int(e[0]) != kind || int(e[1]) != len(value) || string(e[memoHead:from]) != string(value) {
		return nil
	}
	return e[from : from+int(e[2])]
}

// add remembers a token that find has not found, where there is room. The value is no longer than memoValue.
func (m *memo) add(kind int, hash uint32, value, token []byte) {
	if m.count == memoEntries {
		return
	}
	m.count++
	at := len(m.text)
	m.text = append(m.text, byte(kind), byte(len(value)), byte(len(token)))
	m.text = append(append(m.text, value...), token...)
	m.kinds[kind].last = at
	if 2*m.count > len(m.slots) {
		m.grow()
	}
	m.place(memoSlot{hash, uint32(at) + 1})
}

func (m *memo) place(s memoSlot) {
	mask := uint32(len(m.slots) - 1)
	i := s.hash & mask
	for m.slots[i].entry != 0 {
		i = (i + 1) & mask
	}
	m.slots[i] = s
}

// grow makes a table four times as long. In the room one is behind the other, so that a memo which is used again
// allocates none, and one that stays small only touches the first.
func (m *memo) grow() {
	old, size := m.slots, max(memoSlots, 4*len(m.slots))
	from := (size - memoSlots) / 3 // the lengths of those before
	if len(m.room) < from+size {
		m.room = make([]memoSlot, from+size)
	}
	m.slots = m.room[from : from+size]
	for _, s := range old {
		if s.entry != 0 {
			m.place(s)
		}
	}
}

// empty forgets everything: what was a patient's id is overwritten now.
func (m *memo) empty() {
	clear(m.kinds)
	clear(m.text)
	clear(m.room[:max(0, (4*len(m.slots)-memoSlots)/3)]) // all tables there were
	m.kinds, m.slots, m.text, m.count = m.kinds[:0], nil, m.text[:0], 0
}
