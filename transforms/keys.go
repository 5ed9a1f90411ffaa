package transforms

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// keys tells whether an open object names a member twice. It is a stack of regions, one for each
// open object, the innermost last: the hashes of its names, or, above listed of them, a table:
//
//	| h h h | h h h h h h | n . h . . h h . . . h . . |
//	  list    list          count, slots (open addressing; 0 is free)
//
// so that an object of many names is not quadratic. Hashes are seeded for each stream. Two names
// of one hash are taken for the same, and refused: by accident once in 2^63 pairs.
type keys []uint64

const listed = 32 // and the smallest table has four times as many slots

// add adds a hash to the region that starts at base.
func (k *keys) add(base int, h uint64) error {
	region := (*k)[base:]
	if len(region) > listed {
		return k.addTable(base, h)
	}
	for _, x := range region {
		if x == h {
			return ErrDuplicate
		}
	}
	*k = append(*k, h)
	if len(region) == listed {
		k.rehash(base, base, 4*listed)
	}
	return nil
}

func (k *keys) addTable(base int, h uint64) error {
	region := (*k)[base:]
	slots := region[1:]
	if !insert(slots, h) {
		return ErrDuplicate
	}
	region[0]++
	if region[0] > MaxKeys {
		return ErrKeys
	}
	if region[0] > uint64(len(slots)/2) {
		k.rehash(base, base+1, 2*len(slots))
	}
	return nil
}

// rehash makes the region a table of size slots that holds the hashes that it has from an index
// on. The table is made behind them, and moved.
func (k *keys) rehash(base, from, size int) {
	end := len(*k)
	*k = slices.Grow(*k, 1+size)[:end+1+size]
	hashes, table := (*k)[from:end], (*k)[end:]
	clear(table)
	for _, h := range hashes {
		if h != 0 {
			insert(table[1:], h)
			table[0]++
		}
	}
	copy((*k)[base:], table)
	*k = (*k)[:base+1+size]
}

// insert reports whether h was not yet there.
func insert(slots []uint64, h uint64) bool {
	for i := h >> 7; ; i++ {
		switch s := &slots[i&uint64(len(slots)-1)]; *s {
		case 0:
			*s = h
			return true
		case h:
			return false
		}
	}
}

// name scans the name at r, of an object whose names' hashes begin at base, and refuses it when it
// was there before. It returns the name unescaped, as b[k:len(b)-slack] of a b that may be read up
// to its end; it is valid until the window moves.
func (f *filter) name(base int) (b []byte, k int, err error) {
	k, e, escaped, err := f.quoted()
	if err != nil {
		return nil, 0, err
	}
	f.nameAt = k - 1
	b = f.buf[:e+slack]
	if escaped {
		f.scratch = unescape(f.scratch[:0], f.buf[k:e])
		f.scratch = append(f.scratch, zeros[:]...)
		b, k = f.scratch, 0
	}
	if err := f.keys.add(base, f.hash(b, k, len(b)-slack-k)); err != nil {
		return nil, 0, f.fail(err)
	}
	return b, k, nil
}

var zeros [slack]byte

// hash returns the hash of the name b[i:i+n]; it is not 0. It reads as far as key16.
func (f *filter) hash(b []byte, i, n int) uint64 {
	if n > 16 {
		return hashLong(f.seed, b[i:i+n])
	}
	lo, hi := key16(b, i, n)
	return hashShort(f.seed, lo, hi, n)
}

// hashShort is hash for names of up to 16 bytes.
func hashShort(seed, lo, hi uint64, n int) uint64 {
	h, l := bits.Mul64(lo^seed^uint64(n), hi^0x9E3779B97F4A7C15)
	return (h ^ l ^ lo*0xD6E8FEB86659FD93) | 1
}

func hashLong(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		x, y := bits.Mul64(h^binary.LittleEndian.Uint64(b), 0x9E3779B97F4A7C15)
		h = x ^ y
	}
	var last [8]byte
	copy(last[:], b)
	x, y := bits.Mul64(h^binary.LittleEndian.Uint64(last[:]), 0xD6E8FEB86659FD93)
	return (x ^ y) | 1
}
