package transforms

import "bytes"

// What most of a kept element is: members and elements that are texts or numbers, without white
// space between, in one piece in the window. These are copied with their names and commas at once.
// Everything else is left to keptObject and keptArray: each function here either does all that
// they would have done with the member or element at r, or nothing.

// plainMembers copies the next members of a kept object, while they are plain; a display it drops,
// a reference it rewrites, and of an object or array it copies the name and filters the value. It
// reports whether it went on to the end of the object.
func (f *filter) plainMembers(cur *cursor, in inside, n *node, written *int) (bool, error) {
	for {
		b, i := f.buf, f.r
		if cur.started {
			if b[i] != ',' {
				return b[i] == '}', nil
			}
			i++
		}
		if b[i] != '"' || b[i+1] == '_' {
			return false, nil
		}
		k := i + 1
		e, all := span(b, k)
		if b[e] != '"' || b[e+1] != ':' || all&tops != 0 {
			return false, nil
		}
		left := leftOut(b[k:e])
		if left&^(displayName|textName) != 0 {
			return false, nil
		}
		lo, hi := key16(b, k, e-k)
		if n != nil && n.table != nil {
			if kid := n.lookup(lo, hi, b, k, e-k); kid != nil && (kid.role != refRole || kid.own || kid.need != 0) {
				return false, nil
			}
		}
		c, end := b[e+2], e+2
		isReference := string(b[k:e]) == "reference"
		switch {
		case c == '{' || c == '[':
			if left != 0 || isReference {
				return false, nil
			}
		case isReference:
			if ok, err := f.plainReference(cur, in, n, i, e, written); err != nil || !ok {
				return false, err
			}
			continue
		default:
			var ok bool
			if end, ok = f.plainEnd(b, end); !ok {
				return false, nil
			}
		}
		if err := f.plainName(cur, lo, hi, k, e); err != nil {
			return false, err
		}
		f.r = end
		if left&^textName&^in.allow != 0 { // a text is left out where it is an object
			continue
		}
		if *written > 0 {
			i-- // the comma
		}
		at := len(f.out)
		f.out = append(f.out, b[i:end]...)
		if end == e+2 {
			leaves, err := f.kept(in, nil, c, false)
			if err != nil {
				return false, err
			}
			if !leaves {
				f.out = f.out[:at]
				continue
			}
			if err := f.held(); err != nil {
				return false, err
			}
		}
		*written++
	}
}

// plainName notes the name b[k:e] of a member, whose object is at it.
func (f *filter) plainName(cur *cursor, lo, hi uint64, k, e int) error {
	var h uint64
	if e-k <= 16 {
		h = hashShort(f.seed, lo, hi, e-k)
	} else {
		h = hashLong(f.seed, f.buf[k:e])
	}
	if err := f.keys.add(cur.keys, h); err != nil {
		f.r = e + 1
		return f.fail(err)
	}
	if !cur.started {
		cur.started = true
		f.steps[f.depth].name = "?"
	}
	return nil
}

// plainReference rewrites the reference whose name b[k:e] begins in its quotes at i.
func (f *filter) plainReference(cur *cursor, in inside, n *node, i, e int, written *int) (bool, error) {
	b, k := f.buf, i+1
	end, ok := f.plainEnd(b, e+2)
	if !ok || b[e+2] != '"' || bytes.IndexByte(b[e+3:end-1], '\\') >= 0 {
		return false, nil
	}
	to, ok := f.opt.literal(b[e+3 : end-1])
	if !ok {
		return false, nil
	}
	lo, hi := key16(b, k, e-k)
	if err := f.plainName(cur, lo, hi, k, e); err != nil {
		return false, err
	}
	f.r = end
	if *written > 0 {
		i-- // the comma
	}
	f.out = append(f.out, b[i:e+2]...)
	if err := f.refers(to, in.look && n != nil && n.part); err != nil {
		return false, err
	}
	f.tally.tokenized[in.row.index]++
	f.leads(to)
	*written++
	return true, f.address(to)
}

// plainElements copies the next elements of a kept array while they are plain, and drops empty
// arrays; none where their places are noted.
func (f *filter) plainElements(cur *cursor, written *int) (some bool, err error) {
	for !f.opt.places {
		b, i := f.buf, f.r
		if cur.started {
			if b[i] != ',' {
				return some, nil
			}
			i++
		}
		if b[i] == '[' && b[i+1] == ']' && f.depth < MaxDepth {
			f.r = i + 2
		} else {
			end, ok := f.plainEnd(b, i)
			if !ok {
				return some, nil
			}
			f.r = end
			if *written > 0 {
				i--
			}
			f.out = append(f.out, b[i:end]...)
			*written++
			some = true
			if err := f.held(); err != nil {
				return some, err
			}
		}
		cur.started = true
		f.steps[f.depth].index++
	}
	return false, nil
}

// plainEnd returns the index behind the text or number at b[i], which has more of the input behind
// it; or false where it is anything else, or not whole.
func (f *filter) plainEnd(b []byte, i int) (int, bool) {
	if b[i] == '"' {
		j, all := span(b, i+1)
		return j + 1, b[j] == '"' && (all&tops == 0 || validUTF8(b[i+1:j]))
	}
	if c := b[i]; c-'0' >= 10 && c != '-' {
		return 0, false
	}
	j, ok := numberEnd(b, i)
	return j, ok && j < f.w
}
