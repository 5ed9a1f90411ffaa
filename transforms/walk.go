package transforms

import "bytes"

// cursor goes through the members of an object, or the elements of an array.
type cursor struct {
	started bool
	keys    int    // where the names' hashes begin
	b       []byte // the name is b[k:len(b)-slack], until the window moves or another name is scanned
	k       int
	lo, hi  uint64 // the same (see key16)
	raw     []byte // the name as it came, in its quotes
}

func (c *cursor) name() []byte { return c.b[c.k : len(c.b)-slack] }

// find returns the kid of n that the member belongs to; under tells that the member is its
// sibling with the underscore.
func (c *cursor) find(n *node) (kid *node, under bool) {
	length := len(c.b) - slack - c.k
	if length > 0 && c.b[c.k] == '_' {
		return n.find(c.b, c.k+1, length-1), true
	}
	if n == nil || n.table == nil {
		return nil, false
	}
	return n.lookup(c.lo, c.hi, c.b, c.k, length), false
}

// enter begins the object or array at r. The cursor is filled in its place: one that is returned is
// copied, which waits for its fields to be stored.
func (f *filter) enter(cur *cursor) error {
	if f.depth == MaxDepth {
		return f.fail(ErrDepth)
	}
	f.depth++
	f.steps[f.depth] = step{index: -1}
	f.r++
	cur.keys = len(f.keys)
	return nil
}

// leave ends it at its closing character at r.
func (f *filter) leave(cur *cursor) {
	f.r++
	f.depth--
	f.keys = f.keys[:cur.keys]
}

// member goes on to the next member, and returns the first byte of its value, which is at r; or ends
// the object and returns 0.
func (f *filter) member(cur *cursor) (byte, error) {
	b, i := f.buf, f.r
	if b[i] == '}' {
		f.leave(cur)
		return 0, nil
	}
	if cur.started {
		if b[i] != ',' {
			return f.memberFurther(cur)
		}
		i++
	}
	if b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if b[i] != '"' {
		return f.memberFurther(cur)
	}
	k := i + 1
	e, all := span(b, k)
	if b[e] != '"' || all&tops != 0 || b[e+1] != ':' {
		return f.memberFurther(cur)
	}
	v := e + 2
	if b[v] == ' ' {
		v++
	}
	c := b[v]
	if c <= ' ' {
		return f.memberFurther(cur)
	}
	var h uint64
	cur.lo, cur.hi = key16(b, k, e-k)
	if e-k <= 16 {
		h = hashShort(f.seed, cur.lo, cur.hi, e-k)
	} else {
		h = hashLong(f.seed, b[k:e])
	}
	if err := f.keys.add(cur.keys, h); err != nil {
		f.r = e + 1
		return 0, f.fail(err)
	}
	cur.started, cur.b, cur.k, cur.raw = true, b[:e+slack], k, b[i:e+1]
	f.r = v
	return c, nil
}

// memberFurther does so where there is white space, an escape, or the end of the window.
func (f *filter) memberFurther(cur *cursor) (byte, error) {
	c, err := f.peek()
	if err != nil {
		return 0, f.need(err)
	}
	if c == '}' {
		f.leave(cur)
		return 0, nil
	}
	if cur.started {
		if c != ',' {
			return 0, f.fail(ErrSyntax)
		}
		f.r++
		if c, err = f.peek(); err != nil {
			return 0, f.need(err)
		}
	}
	if c != '"' {
		return 0, f.fail(ErrSyntax)
	}
	cur.started = true
	if cur.b, cur.k, err = f.name(cur.keys); err != nil {
		return 0, err
	}
	// The window may move on the way to the value.
	f.raw = append(append(f.raw[:0], f.buf[f.nameAt:f.r]...), zeros[:]...)
	cur.raw = f.raw[:len(f.raw)-slack]
	if bytes.IndexByte(cur.raw, '\\') < 0 {
		cur.b, cur.k = f.raw[:len(f.raw)-1], 1
	}
	cur.lo, cur.hi = key16(cur.b, cur.k, len(cur.b)-slack-cur.k)
	f.steps[f.depth].name = "?"
	return f.colon()
}

// colon goes on from a name to its value, and returns the value's first byte.
func (f *filter) colon() (byte, error) {
	c, err := f.peek()
	if err != nil {
		return 0, f.need(err)
	}
	if c != ':' {
		return 0, f.fail(ErrSyntax)
	}
	f.r++
	if c, err = f.peek(); err != nil {
		return 0, f.need(err)
	}
	return c, nil
}

// element goes on to the next element and returns its first byte; or ends the array and returns 0.
func (f *filter) element(cur *cursor) (byte, error) {
	c, err := f.peek()
	if err != nil {
		return 0, f.need(err)
	}
	if c == ']' {
		f.leave(cur)
		return 0, nil
	}
	if cur.started {
		if c != ',' {
			return 0, f.fail(ErrSyntax)
		}
		f.r++
		if c, err = f.peek(); err != nil {
			return 0, f.need(err)
		}
	}
	cur.started = true
	f.steps[f.depth].index++
	return c, nil
}

// peekText returns the string at r, unescaped, and leaves r there.
func (f *filter) peekText() ([]byte, error) {
	k, e, escaped, err := f.quoted()
	if err != nil {
		return nil, err
	}
	f.r = k - 1
	if !escaped {
		return f.buf[k:e], nil
	}
	f.scratch = unescape(f.scratch[:0], f.buf[k:e])
	return f.scratch, nil
}

// typeOf looks ahead for the resourceType of the object at r, into kind; r stays. At the root, it
// gives up and returns false at an entry where only a Bundle is wanted anyway, and where it had
// to hold back too much: servers that sort names put a Bundle's type behind all entries.
func (f *filter) typeOf(root bool) (found bool, err error) {
	if f.depth == MaxDepth {
		return false, f.fail(ErrDepth)
	}
	f.depth++
	f.steps[f.depth] = step{index: -1}
	f.pin = f.r
	f.r++
	entry := false
	for {
		c, err := f.peek()
		if err != nil {
			return false, f.need(err)
		}
		if c != '"' {
			if c == '}' {
				return false, f.fail(ErrNoType)
			}
			return false, f.fail(ErrSyntax)
		}
		name, err := f.text()
		if err != nil {
			return false, err
		}
		isType := string(name) == "resourceType"
		if root && string(name) == "entry" {
			entry = true
			if f.opt.Root == "Bundle" {
				break
			}
		}
		if c, err = f.colon(); err != nil {
			return false, err
		}
		if isType {
			if c != '"' {
				return false, f.fail(ErrNoType)
			}
			kind, err := f.text()
			if err != nil {
				return false, err
			}
			f.kind = append(f.kind[:0], kind...)
			found = true
			break
		}
		if err = f.skip(true); err == nil {
			c, err = f.peek()
		}
		if err != nil {
			if e, ok := err.(*Error); ok && e.Kind == ErrLookahead && entry {
				break
			}
			return false, f.need(err)
		}
		if c == ',' {
			f.r++
		} else if c != '}' {
			return false, f.fail(ErrSyntax)
		}
	}
	if found && f.pinned() > f.opt.Lookahead {
		return false, f.fail(ErrLookahead)
	}
	f.depth--
	return found, f.back()
}
