package transforms

import "slices"

// Contained resources (references.html#contained) leave only where the row of the resource that
// holds them says contained: keep, and then each by the row of its own type. They carry no meta: the
// tag is on the resource that holds them. Their id is not the EHR's but the document's: it leaves as
// it is, and so does a reference to it, but not one to a contained resource that does not leave.

// local is a contained resource of the resource at hand. They are looked at before that is
// filtered, since a reference may come before what it names.
type local struct {
	row   *row
	cause cause // why it does not leave
	kind  []byte
	id    []byte // empty where it has none that can be referred to
}

const maxLocals = 256

// locate notes the contained resource at r, which will be scanned again.
func (f *filter) locate() error {
	if len(f.locals) == maxLocals {
		return f.fail(ErrLookahead)
	}
	f.locals = slices.Grow(f.locals, 1)[:len(f.locals)+1]
	l := &f.locals[len(f.locals)-1]
	*l = local{kind: l.kind[:0], id: l.id[:0]}
	outer := f.res.denied
	f.res.denied = false
	err := f.browse(func(name string, c byte) (bool, error) {
		switch {
		case name == "resourceType" && c == '"':
			text, err := f.text()
			l.kind = append(l.kind, text[:min(len(text), 65)]...)
			l.row = f.plan.rows[string(text)]
			return false, err
		case name == "id" && c == '"':
			text, err := f.text()
			if idLength(text) == len(text) {
				l.id = append(l.id, text...)
			}
			return false, err
		case name == "meta" && c == '{' && len(f.opt.DenyLabels) > 0:
			return false, f.security()
		}
		return false, f.skip(true)
	})
	switch {
	case err != nil:
		return err
	case l.row == nil:
		l.cause = causeType
	case f.res.denied:
		l.cause = causeLabel
	}
	f.res.denied = outer
	return nil
}

// refersTo reports whether an id is that of a contained resource that leaves.
func (f *filter) refersTo(id []byte) bool {
	leaves := false
	for i := range f.locals {
		if l := &f.locals[i]; len(l.id) > 0 && string(l.id) == string(id) {
			if l.cause != 0 {
				return false
			}
			leaves = true
		}
	}
	return leaves
}

// contained filters the contained resources at r.
func (f *filter) contained(n *node, c byte) (bool, error) {
	if c != '[' || f.res.contained {
		return false, f.skip(false)
	}
	f.met = 0
	return f.elements(n, (*filter).containedResource)
}

func (f *filter) containedResource(_ *node, c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	l := f.locals[f.met]
	f.met++
	if l.cause != 0 {
		return false, f.skip(false)
	}
	outer := f.aside()
	f.res.row, f.res.contained = l.row, true
	f.out = append(f.out, '{')
	_, err := f.body(l.row.root, nil)
	f.out = append(f.out, '}')
	f.resume(outer)
	return true, err
}

// aside puts the resource at hand aside for one inside it, which has buffers of its own.
func (f *filter) aside() (outer resource) {
	outer, f.res = f.res, f.spare[f.asides]
	f.res = resource{id: f.res.id[:0], patient: f.res.patient[:0]}
	f.asides++
	return outer
}

// resume goes on with the one that was put aside.
func (f *filter) resume(outer resource) {
	f.asides--
	f.spare[f.asides], f.res = f.res, outer
}

// localID writes the id at r of a contained resource.
func (f *filter) localID() (bool, error) {
	text, err := f.text()
	if err != nil || len(text) == 0 || idLength(text) != len(text) {
		return false, err
	}
	f.out = append(append(append(f.out, '"'), text...), '"')
	return true, nil
}
