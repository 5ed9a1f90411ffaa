package transforms

import "encoding/binary"

// A deterministic automaton of UTF-8 (RFC 3629, section 4) after Per Vognsen: a state is the bit
// offset, in the row of the next byte, of the state that follows it.
const (
	stateOK    = 6 * iota
	stateBad   // stays bad
	stateTail1 // one continuation byte is missing
	stateTail2
	stateTail3
	stateE0 // no overlong form
	stateED // no surrogate
	stateF0 // no overlong form
	stateF4 // not above U+10FFFF
	states
)

// transitions is never written to.
var transitions = makeTransitions()

func makeTransitions() (rows [256]uint64) {
	for c := range rows {
		for state := uint64(0); state < states; state += 6 {
			rows[c] |= transition(state, byte(c)) << state
		}
	}
	return rows
}

func transition(state uint64, c byte) uint64 {
	tail := c >= 0x80 && c < 0xc0
	switch {
	case state == stateOK && c < 0x80:
		return stateOK
	case state == stateOK && c >= 0xc2 && c < 0xe0:
		return stateTail1
	case state == stateOK && c == 0xe0:
		return stateE0
	case state == stateOK && c == 0xed:
		return stateED
	case state == stateOK && c > 0xe0 && c < 0xf0:
		return stateTail2
	case state == stateOK && c == 0xf0:
		return stateF0
	case state == stateOK && c > 0xf0 && c < 0xf4:
		return stateTail3
	case state == stateOK && c == 0xf4:
		return stateF4
	case state == stateTail1 && tail:
		return stateOK
	case state == stateTail2 && tail,
		state == stateE0 && tail && c >= 0xa0,
		state == stateED && tail && c < 0xa0:
		return stateTail1
	case state == stateTail3 && tail,
		state == stateF0 && tail && c >= 0x90,
		state == stateF4 && tail && c < 0x90:
		return stateTail2
	}
	return stateBad
}

// validUTF8 reports whether b is valid UTF-8. Unlike utf8.Valid, it has no branch that depends on
// which rune follows which, which makes it faster on names in scripts other than Latin.
func validUTF8(b []byte) bool {
	s := uint64(stateOK)
	for ; len(b) >= 8; b = b[8:] {
		if s == stateOK && binary.LittleEndian.Uint64(b)&tops == 0 {
			continue
		}
		s = transitions[b[0]] >> (s & 63) & 63
		s = transitions[b[1]] >> (s & 63) & 63
		s = transitions[b[2]] >> (s & 63) & 63
		s = transitions[b[3]] >> (s & 63) & 63
		s = transitions[b[4]] >> (s & 63) & 63
		s = transitions[b[5]] >> (s & 63) & 63
		s = transitions[b[6]] >> (s & 63) & 63
		s = transitions[b[7]] >> (s & 63) & 63
	}
	for _, c := range b {
		s = transitions[c] >> (s & 63) & 63
	}
	return s == stateOK
}
