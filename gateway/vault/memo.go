package vault

import "hash/maphash"

const (
	memoEntries = 4096
	memoValue   = 256       // longer values are not remembered
	memoKept    = 256 << 10 // bytes of texts with which a memo is used again
)

// memo remembers tokens by what they are of, up to a bound. Its names and tokens are one text, so that remembering
// allocates nothing once that has grown; a memo is used again by another Sealer, emptied.
type memo struct {
	slots []uint16 // hash table: index of an entry, from 1; a power of two long, and at most half full
	all   []memoEntry
	text  []byte
}

type memoEntry struct {
	hash uint64
	at   int // of the name in text; the token follows
	name uint16
	size uint16 // of the token
}

// seed keeps whoever chooses ids from choosing ones that fall into one place of the table.
var seed = maphash.MakeSeed()

// find returns the token of a name, valid until the next add; ok is false where there is none. The hash is for add.
func (m *memo) find(name []byte) (token []byte, hash uint64, ok bool) {
	hash = maphash.Bytes(seed, name)
	if len(m.slots) == 0 {
		return nil, hash, false
	}
	mask := uint64(len(m.slots) - 1)
	for i := hash & mask; m.slots[i] != 0; i = (i + 1) & mask {
		e := &m.all[m.slots[i]-1]
		if e.hash != hash {
			continue
		}
		end := e.at + int(e.name)
		if string(m.text[e.at:end]) == string(name) {
			return m.text[end : end+int(e.size)], hash, true
		}
	}
	return nil, hash, false
}

// add remembers a token that find has not found, where there is room.
func (m *memo) add(hash uint64, name, token []byte) {
	if len(m.all) == memoEntries {
		return
	}
	m.all = append(m.all, memoEntry{hash, len(m.text), uint16(len(name)), uint16(len(token))})
	m.text = append(append(m.text, name...), token...)
	if 2*len(m.all) > len(m.slots) {
		m.grow()
		return
	}
	m.place(len(m.all))
}

func (m *memo) place(n int) {
	mask := uint64(len(m.slots) - 1)
	i := m.all[n-1].hash & mask
	for m.slots[i] != 0 {
		i = (i + 1) & mask
	}
	m.slots[i] = uint16(n)
}

func (m *memo) grow() {
	size := max(64, 2*len(m.slots))
	if cap(m.slots) >= size {
		m.slots = m.slots[:size]
		clear(m.slots)
	} else {
		m.slots = make([]uint16, size)
	}
	for n := range m.all {
		m.place(n + 1)
	}
}

// empty forgets everything: what was a patient's id is overwritten now.
func (m *memo) empty() {
	clear(m.text)
	clear(m.all)
	m.all, m.text, m.slots = m.all[:0], m.text[:0], m.slots[:0]
}
