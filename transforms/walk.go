package transforms

// cursor goes through the members of an object, or the elements of an array.
type cursor struct {
	started bool
	keys    int    // where the names' hashes begin
	b       []byte // the name is b[k:len(b)-slack], until the window moves
	k       int
}

func (c *cursor) name() []byte { return c.b[c.k : len(c.b)-slack] }

// find returns the kid of n that the member belongs to; under tells that the member is its
// sibling with the underscore.
func (c *cursor) find(n *node) (kid *node, under bool) {
	length := len(c.b) - slack - c.k
	if length > 0 && c.b[c.k] == '_' {
		return n.find(c.b, c.k+1, length-1), true
	}
	return n.find(c.b, c.k, length), false
}

// enter begins the object or array at r.
func (f *filter) enter() (cursor, error) {
	if f.depth == MaxDepth {
		return cursor{}, f.fail(ErrDepth)
	}
	f.depth++
	f.steps[f.depth] = step{index: -1}
	f.r++
	return cursor{keys: len(f.keys)}, nil
}

// leave ends it at its closing character at r.
func (f *filter) leave(cur *cursor) {
	f.r++
	f.depth--
	f.keys = f.keys[:cur.keys]
}

// member goes on to the next member's name; or ends the object and returns false.
func (f *filter) member(cur *cursor) (bool, error) {
	c, err := f.peek()
	if err != nil {
		return false, f.need(err)
	}
	if c == '}' {
		f.leave(cur)
		return false, nil
	}
	if cur.started {
		if c != ',' {
			return false, f.fail(ErrSyntax)
		}
		f.r++
		if c, err = f.peek(); err != nil {
			return false, f.need(err)
		}
	}
	if c != '"' {
		return false, f.fail(ErrSyntax)
	}
	cur.started = true
	cur.b, cur.k, err = f.name(cur.keys)
	return true, err
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
