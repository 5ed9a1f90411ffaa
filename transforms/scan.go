package transforms

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
		seed   = f.seed
		err    error
		c      byte
	)
value:
	if c = b[i]; c == '"' {
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
	}
	switch c {
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
			var h uint64
			if n := e - i - 1; n <= 16 {
				lo, hi := key16(b, i+1, n)
				h = hashShort(seed, lo, hi, n)
			} else {
				h = hashLong(seed, b[i+1:e])
			}
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
