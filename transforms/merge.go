package transforms

import (
	"errors"
	"slices"
	"strconv"
)

// How a client's resource is laid over the EHR's. Three trees are gone through together: the EHR's
// own, the client's view of it, and what the client sends.
//
//   - Where the client sends what it sees, the EHR's own stays, with all that is hidden in it.
//   - Where it sends something else, the element must be writable: what is seen of it is replaced by the
//     client's, with tokens opened, and what is hidden in it stays beside that.
//   - Where it leaves out an element that is writable, what is seen of it goes, and what is hidden in it
//     stays. One that is not writable stays whole.
//
// What a write comes to is decided by the rows, the view and what is sent. The EHR's own is never asked:
// it is only carried along. Else a refusal, or its absence, would tell that something is hidden.
//
// Two things that are hidden do go, and neither can be seen to. What only describes what the client
// changed (describes) goes with it. And where the client sets what it sees nothing of, and there can be
// one only, it takes the place of a value that does not leave, such as a reference to another server's.
//
// What the client must see then is known beforehand, and compared with what it would see.
type merger struct {
	plan  *Plan
	kind  string
	o     *WriteOptions
	exact bool // what is left out is meant to be removed
	path  []step
	where string // the first difference that same found
}

// errPlace is of a view that does not tell where in the EHR's list an element is. No view is so.
var errPlace = errors.New("transforms: write: a view without places")

// pair is an element: its value, and its sibling with the underscore.
type pair struct{ value, sibling *value }

// list reports whether an element is a list, and lists whether nothing of it is anything else.
func (p pair) list() bool { return p.value.isArray() || p.sibling.isArray() }

func (p pair) lists() bool {
	return (p.value == nil || p.value.isArray()) && (p.sibling == nil || p.sibling.isArray())
}

// split takes a member's name apart.
func split(name string) (base string, sibling bool) {
	if len(name) > 1 && name[0] == '_' {
		return name[1:], true
	}
	return name, false
}

// pair returns an element of an object.
func (v *value) pair(base string) pair {
	p := pair{sibling: v.get("_" + base)}
	if _, sibling := split(base); !sibling {
		p.value = v.get(base)
	}
	return p
}

// elements are the elements of objects, each once. Of the EHR's own, which comes last, those that are
// hidden are gone through last: which of two wrong elements is told of must not depend on them.
func elements(objects ...*value) []string {
	var all []string
	seen := map[string]bool{}
	for _, v := range objects {
		if !v.isObject() {
			continue
		}
		for i := range v.kids {
			if base, _ := split(v.kids[i].name); !seen[base] {
				seen[base] = true
				all = append(all, base)
			}
		}
	}
	return all
}

// replaced returns an object with its elements as they are to be: in the object's order, and at the end
// in the order in which they are sent those that are new to it, or new to the client: where one stands
// must not tell that something was there.
func replaced(object, view, body *value, bases []string, by map[string]pair) *value {
	out := &value{raw: "{"}
	add := func(name string) {
		base, sibling := split(name)
		now := by[base].value
		if sibling {
			now = by[base].sibling
		}
		if now != nil && out.get(name) == nil {
			out.kids = append(out.kids, now.named(name))
		}
	}
	if object.isObject() {
		out.name = object.name
		for i := range object.kids {
			if name := object.kids[i].name; view.get(name) != nil || body.get(name) == nil {
				add(name)
			}
		}
	}
	if body.isObject() {
		for i := range body.kids {
			add(body.kids[i].name)
		}
	}
	for _, base := range bases {
		add(base)
		add("_" + base)
	}
	return out
}

// object merges an object that rows govern, the resource itself at first. It returns what the EHR is
// to have, and what the client will see.
func (m *merger) object(w *writable, current, view, body *value) (out, seen *value, err error) {
	bases := elements(view, body, current)
	now, then := map[string]pair{}, map[string]pair{}
	for _, base := range bases {
		m.path = append(m.path, step{name: base, index: -1})
		now[base], then[base], err = m.member(w, base, current.pair(base), view.pair(base), body.pair(base))
		if err != nil {
			return nil, nil, err
		}
		m.leave()
	}
	return replaced(current, view, body, bases, now), replaced(view, view, body, bases, then), nil
}

// member merges an element of such an object.
func (m *merger) member(w *writable, base string, current, view, body pair) (out, seen pair, err error) {
	if len(m.path) == 1 {
		switch base {
		case "id":
			if !m.exact && body.sibling == nil && (body.value == nil || body.value.isString()) {
				return current, view, nil
			}
		case "meta":
			if !m.exact && body.sibling == nil {
				return current, view, m.meta(view.value, body.value)
			}
		}
	}
	k := w.kid(base)
	switch {
	case k == nil:
		return current, view, m.unchanged(view, body)
	case k.whole():
		out, err = m.element(k, current, view, body)
		return out, body, err
	}
	if err := m.unchanged(pair{sibling: view.sibling}, pair{sibling: body.sibling}); err != nil {
		return pair{}, pair{}, err
	}
	value, also, err := m.inner(k, current.value, view.value, body.value)
	return pair{value, current.sibling}, pair{also, view.sibling}, err
}

// unchanged insists that the client sends what it sees, or nothing.
func (m *merger) unchanged(view, body pair) error {
	m.where = ""
	if (m.exact || body.value != nil) && !m.same(view.value, body.value) ||
		(m.exact || body.sibling != nil) && !m.same(view.sibling, body.sibling) {
		return &WriteError{Kind: ErrNotWritable, Path: m.where}
	}
	return nil
}

// meta insists that a client's meta says nothing: what version it was, when it was made, and that
// something was left out of it; or what the client sees.
func (m *merger) meta(view, body *value) error {
	if body != nil && !body.isObject() {
		return m.fail(ErrNotWritable)
	}
	for i := 0; body != nil && i < len(body.kids); i++ {
		k := &body.kids[i]
		if (k.name == "versionId" || k.name == "lastUpdated") && k.isString() ||
			k.name == "tag" && k.isArray() && len(k.kids) == 1 && k.kids[0].isObject() && isTag(k.kids[0].append(nil)) {
			continue
		}
		m.into(body, i)
		if m.where = ""; !m.same(view.get(k.name), k) {
			return &WriteError{Kind: ErrNotWritable, Path: m.where}
		}
		m.leave()
	}
	return nil
}

// inner merges the value of an element below which others are writable. Of a list, the elements that
// the client does not see stay where they are, and those that it adds come behind them.
func (m *merger) inner(w *writable, current, view, body *value) (out, seen *value, err error) {
	none := &value{raw: "{"}
	switch {
	case m.same(view, body):
		return current, view, nil
	case body == nil && view.isObject():
		body = none // of which all that may be written goes
	case body == nil:
		return nil, nil, m.fail(ErrNotWritable) // not a list, of which some parts would have to stay
	}
	switch {
	case body.isObject() && (view == nil || view.isObject()):
		out, seen, err = m.object(w, orNone(current), orNone(view), body)
		if err != nil {
			return nil, nil, err
		}
		return orNil(out), orNil(seen), nil
	case !body.isArray() || len(body.kids) == 0, view != nil && (!view.isArray() || len(body.kids) != len(view.kids)):
		return nil, nil, m.fail(ErrNotWritable)
	}
	out, seen = &value{raw: "["}, &value{raw: "["}
	if current.isArray() {
		out.kids = slices.Clone(current.kids)
	}
	for i := range body.kids {
		m.into(body, i)
		is, was, at := none, none, len(out.kids)
		if view != nil {
			was, at = &view.kids[i], view.kids[i].place-1
			if at < 0 || at >= len(current.kids) {
				return nil, nil, errPlace
			}
			is = &current.kids[at]
		}
		if !body.kids[i].isObject() || !was.isObject() {
			return nil, nil, m.fail(ErrNotWritable)
		}
		one, also, err := m.object(w, is, was, &body.kids[i])
		if err != nil {
			return nil, nil, err
		}
		if len(also.kids) == 0 {
			return nil, nil, m.fail(ErrNotWritable) // places would not be what they were
		}
		if seen.kids = append(seen.kids, *also); at < len(out.kids) {
			out.kids[at] = *one
		} else {
			out.kids = append(out.kids, *one)
		}
		m.leave()
	}
	return out, seen, nil
}

func orNone(v *value) *value {
	if v.isObject() {
		return v
	}
	return &value{raw: "{"}
}

func orNil(v *value) *value {
	if len(v.kids) == 0 {
		return nil
	}
	return v
}

// element merges an element that may be written. Its shape is FHIR's and does not change: an object is
// not replaced by a list, under which what is hidden in it would have no place.
func (m *merger) element(w *writable, current, view, body pair) (pair, error) {
	same := m.same(view.sibling, body.sibling)
	switch {
	case same && m.same(view.value, body.value):
		return current, nil
	case !same && w.method != Keep:
		return pair{}, m.fail(ErrNotWritable)
	case view.list() || body.list():
		if !view.lists() || !body.lists() {
			return pair{}, m.fail(ErrNotWritable)
		}
		return m.list(w, current, view, body)
	case body.sibling != nil && !body.sibling.isObject():
		return pair{}, m.fail(ErrNotWritable)
	case view.value == nil && body.value != nil && !current.value.bare() && !(current.value.isObject() && body.value.isObject()):
		current = pair{} // a value that does not leave, and what is said of it
	}
	value, err := m.value(w, current.value, view.value, body.value)
	if err != nil {
		return pair{}, err
	}
	sibling, err := m.value(w, current.sibling, view.sibling, body.sibling)
	return pair{value, sibling}, err
}

// value merges a value, which is no list, in an element that may be written.
func (m *merger) value(w *writable, current, view, body *value) (*value, error) {
	switch {
	case m.same(view, body):
		return current, nil
	case body == nil && !view.isObject():
		return nil, nil
	case body == nil:
		rest, err := m.members(w, orNone(current), view, &value{raw: "{"})
		if err != nil || rest.bare() {
			return nil, err
		}
		return rest, nil
	case view != nil && view.isObject() != body.isObject():
		return nil, m.fail(ErrNotWritable)
	case current.isObject() && body.isObject():
		return m.members(w, current, orNone(view), body)
	}
	return m.opened(w, body)
}

// members merges an object in an element that may be written.
func (m *merger) members(w *writable, current, view, body *value) (*value, error) {
	bases := elements(view, body, current)
	now := map[string]pair{}
	for _, base := range bases {
		is, was, sent := current.pair(base), view.pair(base), body.pair(base)
		if was == (pair{}) && sent == (pair{}) {
			if !m.describes(w, base, view, body) {
				now[base] = is
			}
			continue
		}
		m.path = append(m.path, step{name: base, index: -1})
		var err error
		if now[base], err = m.element(w, is, was, sent); err != nil {
			return nil, err
		}
		m.leave()
	}
	return replaced(current, view, body, bases, now), nil
}

// describes reports whether a member that is not shown only says in words, or by other means, what the
// client changed in its object: the display of a code or a reference, and of a reference that is
// rewritten the identifier. Beside another code or reference it would be wrong.
func (m *merger) describes(w *writable, name string, view, body *value) bool {
	var of []string
	switch {
	case name == "display":
		of = []string{"system", "version", "code", "reference", "identifier"}
	case name == "identifier" && w.method == Reference:
		of = []string{"reference"}
	}
	return slices.ContainsFunc(of, func(name string) bool { return !m.same(view.get(name), body.get(name)) })
}

// into goes to a member or an element of a container, and leave back from it.
func (m *merger) into(v *value, i int) {
	if v.isArray() {
		m.path = append(m.path, step{index: i})
		return
	}
	base, _ := split(v.kids[i].name)
	m.path = append(m.path, step{name: base, index: -1})
}

func (m *merger) leave() { m.path = m.path[:len(m.path)-1] }

// differs notes where the first difference is, and is false.
func (m *merger) differs() bool {
	if m.where == "" {
		m.where = m.at()
	}
	return false
}

func (m *merger) fail(kind error) error { return &WriteError{Kind: kind, Path: m.at()} }

// at returns the place at hand: "participant[1].status". A name that no element could have is "?".
func (m *merger) at() string {
	var b []byte
	for _, s := range m.path {
		switch {
		case s.name == "":
			b = append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
			continue
		case len(b) > 0:
			b = append(b, '.')
		}
		if isName(s.name) {
			b = append(b, s.name...)
		} else {
			b = append(b, '?')
		}
	}
	return string(b)
}

// names returns the path of the element at hand as a dataset has it: "participant.status".
func (m *merger) names() string {
	var b []byte
	for _, s := range m.path {
		if s.name == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = append(b, s.name...)
	}
	return string(b)
}
