package transforms

import "slices"

// What leaves of an element that is kept: everything, but
//   - the names of leftOut, unless a row at or above their place names them: extensions, contained
//     resources and narrative, which hold what no row thought of, and display, which is the name
//     of whoever a reference names;
//   - a reference's id, which leaves in a token, and a reference that names nothing of the EHR;
//   - below a *, what a row of its own names, which leaves as that says;
//   - with a member that does not leave, its sibling with the underscore;
//   - members that are null, and objects and arrays that end empty, or of nulls only. Below an
//     underscore, an emptied object is null, since places in such an array mean something: what
//     they mean is seen to at the end of the resource (tidy.go).

// inside is where in a kept element the filter is.
type inside struct {
	row   *node // that keeps it
	allow names // not left out here
	look  bool  // references here may be parts: no underscore or array in an array on the way
}

// kept filters the value at r, of which c is the first byte. The node is the plan's for this place,
// or nil; under tells of an underscore.
func (f *filter) kept(in inside, n *node, c byte, under bool) (bool, error) {
	switch c {
	case '{':
		if n != nil && n.variants != nil {
			v, err := f.choose(n)
			if err != nil {
				return false, err
			}
			n = v
		}
		return f.keptObject(in, n)
	case '[':
		f.untidy = f.untidy || under
		return f.keptArray(in, n, under)
	case 'n':
		return false, f.skip(false)
	}
	return f.scalar(c)
}

// starred filters the value at r by the * above its node, or at it: then it is for objects only.
func (f *filter) starred(n *node, c byte) (bool, error) {
	switch {
	case n.star != n:
		return f.kept(inside{row: n.star, look: true}, n, c, false)
	case c == '[':
		return f.elements(n, (*filter).starredObject)
	}
	return f.starredObject(n, c)
}

func (f *filter) starredObject(n *node, c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	return f.keptObject(inside{row: n, look: true}, n)
}

// owned filters the value of an element below a *, which leaves as its own row says. Where a row
// cannot mean it, below an underscore or in a list of lists, it leaves only if it is kept.
func (f *filter) owned(in inside, n *node, c byte, under bool) (bool, error) {
	switch {
	case in.look && !under:
		return f.value(n, c)
	case in.look:
		return f.sibling(n, c)
	case n.method == Keep && n.role != refRole:
		return f.kept(inside{row: n, allow: n.allow}, n, c, under)
	}
	return false, f.skip(false)
}

func (f *filter) keptArray(in inside, n *node, under bool) (bool, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '[')
	written, some := 0, false
	for {
		plain, err := f.plainElements(&cur, &written)
		if err != nil {
			return false, err
		}
		some = some || plain
		c, err := f.element(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, ']')
			return some, nil
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		value := len(f.out)
		if f.opt.places {
			f.note()
		}
		element := in
		element.look = in.look && c != '['
		leaves, err := f.kept(element, n, c, false)
		switch {
		case err != nil:
			return false, err
		case leaves:
			some = true
		case c == 'n' || c == '{' && under:
			f.out = append(f.out[:value], "null"...)
			f.untidy = true
		default:
			f.out = f.out[:at]
			continue
		}
		written++
		if err := f.held(); err != nil {
			return false, err
		}
	}
}

// companion is a member with an underscore that was written before it was known whether the
// member itself leaves: where in out it is, with its comma.
type companion struct{ from, to int }

func (f *filter) keptObject(in inside, n *node) (bool, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	var (
		written                       = 0
		ofReference, ofText           companion
		withoutReference, withoutText bool
	)
	for {
		ended, err := f.plainMembers(&cur, in, n, &written)
		if err != nil {
			return false, err
		}
		if ended {
			f.leave(&cur)
			f.out = append(f.out, '}')
			return written > 0, nil
		}
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, '}')
			return written > 0, nil
		}
		kid, under := cur.find(n)
		name := cur.name()
		if under {
			name = name[1:]
		}
		left := leftOut(name)
		isReference := string(name) == "reference"
		below := in
		below.look = in.look && !under
		if kid != nil && kid.leaf() {
			below.allow |= kid.allow
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		f.out = append(append(f.out, cur.raw...), ':')
		f.steps[f.depth].name = "?"
		if kid != nil && kid.need != 0 && !under && c != 'n' {
			f.res.had |= kid.need
		}
		own := kid != nil && kid.own
		if below.look && kid != nil && kid.role == labelRole && !own {
			if err := f.labels(); err != nil {
				return false, err
			}
		}
		leaves := false
		switch {
		case own:
			leaves, err = f.owned(in, kid, c, under)
		case left&^below.allow != 0 && kid != nil && kid.variants != nil && !under:
			leaves, err = f.widened(below, kid, c)
		case left == textName && below.allow&textName == 0 && (withoutText || c == '{' && !under):
			withoutText = true
			err = f.skip(false)
		case left&^textName&^below.allow != 0:
			err = f.skip(false)
		case isReference && c == '"' && !under:
			leaves, err = f.reference(in.row, below.look && n != nil && n.part)
			withoutReference = !leaves
		case isReference && c == '[' && !under: // FHIR has no list of literal references
			withoutReference = true
			err = f.skip(false)
		case isReference && under && withoutReference:
			err = f.skip(false)
		default:
			leaves, err = f.kept(below, kid, c, under)
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
			switch here := (companion{at, len(f.out)}); {
			case under && isReference:
				ofReference = here
			case under && left == textName && below.allow&textName == 0:
				ofText = here
			}
		} else {
			f.out = f.out[:at]
		}
		if withoutReference && ofReference.to > 0 {
			f.cut(&ofReference, &ofText)
			written--
		}
		if withoutText && ofText.to > 0 {
			f.cut(&ofText, &ofReference)
			written--
		}
		if err := f.held(); err != nil {
			return false, err
		}
	}
}

// cut takes a companion out of the output, and keeps the place of the other.
func (f *filter) cut(gone, other *companion) {
	from, to := gone.from, gone.to
	if f.out[from] != ',' && to < len(f.out) {
		to++ // it was the first: the comma behind goes with it
	}
	f.out = slices.Delete(f.out, from, to)
	if other.from >= to {
		other.from -= to - from
		other.to -= to - from
	} else if other.to > 0 && other.from > from {
		// It was next, and its comma went.
		other.from, other.to = from, other.to-(to-from)
	}
	*gone = companion{}
}
