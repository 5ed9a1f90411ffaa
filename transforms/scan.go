package transforms

import "encoding/binary"

// The scan of a value that is dropped, or copied without looking inside: skip is one loop with
// labels for the states of RFC 8259's grammar, since a dropped subtree is most of the input.
//
//	value: at the first byte of a value, or white space before it
//	key:   at the opening quote of a name, or white space before it
//	after: behind a value: a comma, the end of the container, or of the whole
//
// Invariants: i and b are the scan's own copies of r and buf; before anything that may move the
// window, i is stored to r, and both are loaded again after it. The containers open inside the
// value are d; object tells which of them are objects, base where their names' hashes begin.

// skip validates the value at r and moves r behind it. Names are checked for duplicates, unless
// twice says that the value will be scanned again.
func (f *filter) skip(twice bool) error {
	var (
		b      = f.buf
		i      = f.r
		d      = 0
		object [MaxDepth / 64]uint64
		base   = &f.bases
		room   = MaxDepth - f.depth
		keys   = len(f.keys)
		err    error
		c      byte
	)
value:
	c = b[i]
	switch c {
	case '"':
		j, all := span(b, i+1)
		if b[j] == '"' && (all&tops == 0 || validUTF8(b[i+1:j])) {
			i = j + 1
		} else {
			f.r = i
			if i, err = f.stringEnd(i+1, false); err != nil {
				return err
			}
			b = f.buf
		}
		goto after
	case '{', '[':
		if d >= room {
			f.r = i
			return f.fail(ErrDepth)
		}
		if c == '{' {
			object[d>>6] |= 1 << (uint(d) & 63)
			base[d] = int32(len(f.keys))
		} else {
			object[d>>6] &^= 1 << (uint(d) & 63)
		}
		d++
		i++
		if b[i] <= ' ' {
			if i = skipSpace(b, i); b[i] <= ' ' {
				f.r = i
				if _, err = f.peek(); err != nil {
					return f.need(err)
				}
				b, i = f.buf, f.r
			}
		}
		if b[i] == c+2 { // the closing one
			i++
			d--
			goto after
		}
		if c == '{' {
			goto key
		}
		goto value
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if i, err = f.number(i); err != nil {
			return err
		}
		b = f.buf
		goto after
	case 't', 'f', 'n':
		if i, err = f.word(i); err != nil {
			return err
		}
		b = f.buf
		goto after
	default:
		f.r = i
		if c > ' ' {
			return f.fail(ErrSyntax)
		}
		if _, err = f.peek(); err != nil {
			return f.need(err)
		}
		b, i = f.buf, f.r
		goto value
	}
key:
	f.r = i
	if b[i] != '"' {
		if c, err = f.peek(); err != nil {
			return f.need(err)
		}
		if c != '"' {
			return f.fail(ErrSyntax)
		}
		b, i = f.buf, f.r
	}
	if e, all := span(b, i+1); b[e] == '"' && all&tops == 0 {
		if !twice {
			h := f.hash(b, i+1, e-i-1)
			region := f.keys[base[d-1]:]
			if len(region) >= listed {
				err = f.keys.add(int(base[d-1]), h)
			} else {
				for _, x := range region {
					if x == h {
						err = ErrDuplicate
					}
				}
				f.keys = append(f.keys, h)
			}
			if err != nil {
				return f.fail(err)
			}
		}
		i = e + 1
	} else {
		if twice {
			i, err = f.stringEnd(i+1, false)
		} else {
			_, _, err = f.name(int(base[d-1]))
			i = f.r
		}
		if err != nil {
			return err
		}
		b = f.buf
	}
	if b[i] != ':' {
		f.r = i
		if c, err = f.peek(); err != nil {
			return f.need(err)
		}
		if c != ':' {
			return f.fail(ErrSyntax)
		}
		b, i = f.buf, f.r
	}
	i++
	if b[i] == ' ' {
		i++
	}
	goto value
after:
	for d > 0 {
		c = b[i]
		isObject := object[(d-1)>>6]>>(uint(d-1)&63)&1 != 0
		switch {
		case c == ',':
			i++
			if b[i] <= ' ' {
				if i = skipSpace(b, i); b[i] <= ' ' {
					f.r = i
					if _, err = f.peek(); err != nil {
						return f.need(err)
					}
					b, i = f.buf, f.r
				}
			}
			if isObject {
				goto key
			}
			goto value
		case c == '}' && isObject:
			f.keys = f.keys[:base[d-1]]
			i++
			d--
		case c == ']' && !isObject:
			i++
			d--
		case c > ' ':
			f.r = i
			return f.fail(ErrSyntax)
		default:
			if i = skipSpace(b, i); b[i] <= ' ' {
				f.r = i
				if _, err = f.peek(); err != nil {
					return f.need(err)
				}
				b, i = f.buf, f.r
			}
		}
	}
	f.r = i
	f.keys = f.keys[:keys]
	return nil
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

// number returns the index behind the number at i. A number must fit into the window.
func (f *filter) number(i int) (int, error) {
	for {
		end, ok := numberEnd(f.buf, i)
		if end < f.w {
			if !ok {
				f.r = end
				return 0, f.fail(ErrSyntax)
			}
			return end, nil
		}
		f.r = i
		if err := f.more(); err != nil {
			return 0, f.need(err) // the root is an object: no number is at its end
		}
		i = f.r
	}
}

// numberEnd returns the index of the first byte that does not continue the number at b[i], and
// whether the number is complete there.
func numberEnd(b []byte, i int) (int, bool) {
	if b[i] == '-' {
		i++
	}
	switch {
	case b[i] == '0':
		i++
	case b[i]-'1' < 9:
		i = digits(b, i)
	default:
		return i, false
	}
	if b[i] == '.' {
		i++
		if b[i]-'0' >= 10 {
			return i, false
		}
		i = digits(b, i)
	}
	if b[i]|0x20 == 'e' {
		i++
		if b[i] == '+' || b[i] == '-' {
			i++
		}
		if b[i]-'0' >= 10 {
			return i, false
		}
		i = digits(b, i)
	}
	return i, true
}

func digits(b []byte, i int) int {
	for b[i]-'0' < 10 {
		i++
	}
	return i
}

// word returns the index behind the true, false or null at i.
func (f *filter) word(i int) (int, error) {
	const (
		wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
		wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
		wordFals = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
	)
	for {
		b := f.buf
		switch binary.LittleEndian.Uint32(b[i:]) {
		case wordTrue, wordNull:
			return i + 4, nil
		case wordFals:
			if b[i+4] == 'e' {
				return i + 5, nil
			}
		}
		f.r = i
		for _, c := range wordOf(b[i]) {
			if b[f.r] != byte(c) {
				break
			}
			f.r++
		}
		if f.r < f.w {
			return 0, f.fail(ErrSyntax)
		}
		d := f.r - i
		f.r = i
		if err := f.more(); err != nil {
			f.r += d
			return 0, f.need(err)
		}
		i = f.r
	}
}

func wordOf(first byte) string {
	switch first {
	case 't':
		return "true"
	case 'f':
		return "false"
	}
	return "null"
}
