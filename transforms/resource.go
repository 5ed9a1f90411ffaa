package transforms

// resource is what is known of the resource being filtered.
type resource struct {
	row        *row
	id         []byte
	identified bool   // it has an id
	tagged     bool   // its meta has been written
	denied     bool   // it has a denied label
	inside     bool   // it refers to the patient whose compartment alone leaves
	contained  bool   // in another one
	sampled    bool   // what it has that no row names is counted
	had        uint64 // of what the dataset requires
	patient    []byte
	patients   int // that it refers to, of whom patient was the first; 2 is more than one
}

// resource filters the object at r by its type's row, down to the object that it is.
func (f *filter) resource(r *row) error {
	f.res = resource{row: r, id: f.res.id[:0], patient: f.res.patient[:0]}
	f.locals, f.linked.of = f.locals[:0], f.linked.of[:0]
	var kind mode
	if r.bundle || r.contains || r.parameters && len(f.opt.DenyLabels) > 0 {
		var err error
		if kind, err = f.ahead(r); err != nil {
			return err
		}
		if f.res.denied {
			return f.skip(false)
		}
	}
	switch {
	case r.parameters:
		f.within++
		defer func() { f.within-- }()
	case r.bundle:
		err := f.nestedBundle(kind)
		f.res = resource{row: r, id: f.res.id[:0], patient: f.res.patient[:0]} // not what was last in it
		return err
	}
	f.res.sampled = r.tagged && f.tally.released[r.number] < maxSampled
	begin, marked, untidy := len(f.out), f.marked, f.untidy
	f.marked, f.untidy = false, false
	f.out = append(f.out, '{')
	n, err := f.body(r.root, f.habits.of(r))
	if err != nil {
		return err
	}
	if r.tagged && !f.res.tagged {
		if n > 0 {
			f.out = append(f.out, ',')
		}
		f.out = append(append(f.out, `"meta":`...), tagAlone...)
	}
	f.out = append(f.out, '}')
	if f.marked {
		all, err := f.shift(r, begin)
		if err != nil {
			return err
		}
		f.untidy = f.untidy || !all
	}
	if f.untidy {
		f.tidy(begin)
	}
	f.marked, f.untidy = marked, untidy
	return f.held()
}

// body filters the members of the object at r, which is the resource, and returns how many leave.
func (f *filter) body(root *node, r *row) (int, error) {
	if root.star == nil {
		return f.members(root, r, new(trail))
	}
	f.out = f.out[:len(f.out)-1]
	leaves, err := f.keptObject(inside{row: root, look: true}, root)
	if err != nil {
		return 0, err
	}
	f.out = f.out[:len(f.out)-1] // its closing brace
	if !leaves {
		return 0, nil
	}
	return 1, nil
}

// verdict says why the resource just filtered must not leave, if so.
func (f *filter) verdict(r *row) cause {
	switch {
	case f.res.denied:
		return causeLabel
	case f.opt.Patient != "" && r.kind == "Patient" && (!f.res.identified || string(f.res.id) != f.opt.Patient):
		return causeCompartment
	case f.opt.Patient != "" && r.kind != "Patient" && r.member && !f.res.inside:
		return causeCompartment
	case f.other(r):
		return causeOther
	case f.stray(r):
		return causeStray
	}
	return 0
}

// other reports whether the resource just filtered is another one than each inside must be.
func (f *filter) other(r *row) bool {
	return f.opt.EntryID != "" && r.subject && (!f.res.identified || string(f.res.id) != f.opt.EntryID)
}

// members filters the members of the object at r, and returns how many leave.
func (f *filter) members(n *node, r *row, t *trail) (int, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return 0, err
	}
	written := 0
	counter := &f.tally.removed[n.index]
	if n.leaf() {
		counter = &f.tally.removed[0]
	}
	for {
		var (
			h     *habit
			c     byte
			kid   *node
			under bool
		)
		if r != nil {
			if h, c, err = f.repeat(&cur, r, t, &written, counter); err != nil {
				return 0, err
			}
		}
		if h != nil {
			kid, under = h.kid, h.under
		} else {
			if c, err = f.member(&cur); err != nil || c == 0 {
				return written, err
			}
			if kid, under = cur.find(n); r != nil {
				if h, err = f.habit(&cur, r, t, kid, under); err != nil {
					return 0, err
				}
			}
		}
		at, from, moves := len(f.out), f.r, f.moves
		heeds := h != nil && h.past != 0 && f.heed(h, r, c, at+min(written, 1))
		if kid != nil {
			f.steps[f.depth].name = kid.name
			if written > 0 {
				f.out = append(f.out, ',')
			}
			if under {
				f.out = append(append(f.out, `"_`...), kid.member[1:]...)
			} else {
				f.out = append(f.out, kid.member...)
			}
		} else {
			f.steps[f.depth].name = "?"
		}
		if (kid == nil || !kid.named) && f.res.sampled && n.enters != 0 {
			f.tally.drift.note(n, &cur)
		}
		leaves := false
		switch {
		case kid == nil:
			err = f.pass(c)
		case under:
			leaves, err = f.sibling(kid, c)
		default:
			leaves, err = f.value(kid, c)
		}
		if err != nil {
			return 0, err
		}
		switch {
		case heeds:
			f.learn(h, r, leaves)
		case h != nil && moves == f.moves:
			f.habits.trace(h, f.buf, from, f.r)
		}
		if !leaves {
			f.out = f.out[:at]
			*counter++
			continue
		}
		written++
		if err := f.held(); err != nil {
			return 0, err
		}
	}
}

// pass is skip, and quick where the value is a text in the window.
func (f *filter) pass(c byte) error {
	if c == '"' {
		if e, all := span(f.buf, f.r+1); f.buf[e] == '"' && all&tops == 0 {
			f.r = e + 1
			return nil
		}
	}
	return f.skip(false)
}

// sibling filters the value of a node's member with the underscore: ids and extensions of the
// value itself, which leave with it only where it is kept.
func (f *filter) sibling(n *node, c byte) (bool, error) {
	if n.method == Keep && n.role != nameRole && n.role != codeRole {
		return f.kept(inside{row: n, allow: n.allow}, n, c, true)
	}
	return false, f.skip(false)
}

// value filters the value at r, of which c is the first byte, by its node.
func (f *filter) value(n *node, c byte) (bool, error) {
	if n.need != 0 && c != 'n' {
		f.res.had |= n.need
	}
	switch n.role {
	case typeRole:
		return f.scalar(c)
	case idRole:
		if c != '"' {
			return false, f.skip(false) // no id, and nothing to name the subject by
		}
		if f.res.contained {
			return f.localID()
		}
		id, err := f.peekText()
		if err != nil {
			return false, err
		}
		f.res.id, f.res.identified = append(f.res.id[:0], id...), true
	case metaRole:
		if f.res.contained {
			return false, f.skip(false)
		}
		return f.meta(n, c)
	case containedRole:
		return f.contained(n, c)
	case parameterRole:
		return f.parameters(n, c)
	case resourceRole:
		return f.parameterResource(c)
	case nameRole:
		if c != '"' {
			return false, f.skip(false)
		}
	case codeRole:
		if c != '"' {
			return false, f.skip(false)
		}
		return f.code()
	case labelRole:
		if err := f.labels(); err != nil {
			return false, err
		}
	case refRole:
		if c == '"' {
			if err := f.look(n); err != nil {
				return false, err
			}
			if n.method == Keep {
				return f.reference(n, false)
			}
		}
	}
	if n.variants != nil {
		return f.conditioned(n, c)
	}
	return f.byMethod(n, c)
}

// byMethod filters the value at r by the node's row, or by the rows below it.
func (f *filter) byMethod(n *node, c byte) (bool, error) {
	switch n.method {
	case Keep:
		return f.kept(inside{row: n, allow: n.allow, look: true}, n, c, false)
	case Reference:
		if c == '[' {
			return f.elements(n, (*filter).referenceObject)
		}
		return f.referenceObject(n, c)
	case Remove:
		if n.star != nil {
			return f.starred(n, c)
		}
		if c == '[' && n.kids != nil {
			return f.elements(n, (*filter).object)
		}
		return f.object(n, c)
	}
	if c == '[' {
		return f.elements(n, (*filter).reduced)
	}
	return f.reduced(n, c)
}

// elements filters each element of the array at r; an array of which none leaves does not.
func (f *filter) elements(n *node, each func(*filter, *node, byte) (bool, error)) (bool, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '[')
	written := 0
	for {
		c, err := f.element(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, ']')
			return written > 0, nil
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		if f.opt.places {
			f.note()
		}
		leaves, err := each(f, n, c)
		if err != nil {
			return false, err
		}
		if !leaves {
			f.out = f.out[:at]
			continue
		}
		written++
	}
}

// object filters an object by the rows below the node; any other value does not leave, nor does
// an object that ends empty.
func (f *filter) object(n *node, c byte) (bool, error) {
	if c != '{' || n.kids == nil {
		return false, f.skip(false)
	}
	f.out = append(f.out, '{')
	written, err := f.members(n, nil, nil)
	f.out = append(f.out, '}')
	return written > 0, err
}

// scalar copies the value at r, which is no object or array, as it is.
func (f *filter) scalar(c byte) (bool, error) {
	if c == '"' {
		e, all := span(f.buf, f.r+1)
		if f.buf[e] == '"' && (all&tops == 0 || validUTF8(f.buf[f.r+1:e])) {
			f.out = append(f.out, f.buf[f.r:e+1]...)
			f.r = e + 1
			return true, nil
		}
	}
	f.mark = f.r
	if err := f.skip(false); err != nil {
		return false, err
	}
	f.out = append(f.out, f.buf[f.mark:f.r]...)
	f.mark = -1
	return true, nil
}
