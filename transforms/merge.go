package transforms

import "strconv"

// How a client's resource is laid over the EHR's. Three trees are gone through together: the EHR's
// own, the client's view of it, and what the client sends.
//
//   - Where the client sends what it sees, the EHR's own stays, with all that is hidden in it.
//   - Where it sends something else, the element must be writable, and nothing may be hidden in it: it
//     is replaced by the client's, with tokens opened.
//   - An element that the client leaves out is removed where it is writable. Where it is not, it stays.
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

// pair is an element: its value, and its sibling with the underscore.
type pair struct{ value, sibling *value }

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

// elements are the elements of objects, each once.
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

// replaced returns an object with some elements of its own, and others as they are to be: in the
// object's order, and those new to it at the end.
func replaced(object *value, bases []string, by map[string]pair) *value {
	out := &value{raw: "{"}
	if object.isObject() {
		out.name = object.name
		for i := range object.kids {
			base, sibling := split(object.kids[i].name)
			now := by[base].value
			if sibling {
				now = by[base].sibling
			}
			if now != nil {
				out.kids = append(out.kids, now.named(object.kids[i].name))
			}
		}
	}
	for _, base := range bases {
		if v := by[base].value; v != nil && object.get(base) == nil {
			out.kids = append(out.kids, v.named(base))
		}
		if v := by[base].sibling; v != nil && object.get("_"+base) == nil {
			out.kids = append(out.kids, v.named("_"+base))
		}
	}
	return out
}

// object merges an object that rows govern, the resource itself at first. It returns what the EHR is
// to have, and what the client will see.
func (m *merger) object(w *writable, current, view, body *value) (out, seen *value, err error) {
	bases := elements(current, view, body)
	now, then := map[string]pair{}, map[string]pair{}
	for _, base := range bases {
		m.path = append(m.path, step{name: base, index: -1})
		now[base], then[base], err = m.member(w, base, current.pair(base), view.pair(base), body.pair(base))
		if err != nil {
			return nil, nil, err
		}
		m.leave()
	}
	return replaced(current, bases, now), replaced(view, bases, then), nil
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

// inner merges the value of an element below which others are writable.
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
	case body.isObject() && (current.bare() || current.isObject()) && (view == nil || view.isObject()):
		out, seen, err = m.object(w, orNone(current), orNone(view), body)
		if err != nil {
			return nil, nil, err
		}
		return orNil(out), orNil(seen), nil
	case !body.isArray() || len(body.kids) == 0:
		return nil, nil, m.fail(ErrNotWritable)
	case current.bare() && view == nil:
		current, view = nil, nil
	case !current.isArray() || !view.isArray() || len(current.kids) != len(view.kids):
		return nil, nil, m.fail(ErrHidden)
	case len(body.kids) != len(view.kids):
		return nil, nil, m.fail(ErrNotWritable)
	}
	out, seen = &value{raw: "["}, &value{raw: "["}
	for i := range body.kids {
		m.into(body, i)
		is, was := none, none
		if current != nil {
			is, was = &current.kids[i], &view.kids[i]
		}
		if !body.kids[i].isObject() || !is.isObject() || !was.isObject() {
			return nil, nil, m.fail(ErrNotWritable)
		}
		one, also, err := m.object(w, is, was, &body.kids[i])
		if err != nil {
			return nil, nil, err
		}
		if len(one.kids) == 0 || len(also.kids) == 0 {
			return nil, nil, m.fail(ErrNotWritable) // places would not be what they were
		}
		out.kids, seen.kids = append(out.kids, *one), append(seen.kids, *also)
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

// element merges an element that may be written.
func (m *merger) element(w *writable, current, view, body pair) (pair, error) {
	same := m.same(view.sibling, body.sibling)
	switch {
	case same && m.same(view.value, body.value):
		return current, nil
	case !same && w.method != Keep:
		return pair{}, m.fail(ErrNotWritable)
	case current.sibling == nil && body.sibling == nil:
		value, err := m.value(w, current.value, view.value, body.value)
		return pair{value: value}, err
	}
	// What the sibling says is said of the value, place by place: both are replaced together.
	if !m.shown(w, current.value, view.value) || !m.shown(w, current.sibling, view.sibling) {
		return pair{}, m.fail(ErrHidden)
	}
	value, err := m.opened(w, body.value)
	if err != nil {
		return pair{}, err
	}
	sibling, err := m.opened(w, body.sibling)
	return pair{value, sibling}, err
}

// value merges a value in an element that may be written.
func (m *merger) value(w *writable, current, view, body *value) (*value, error) {
	switch {
	case m.same(view, body):
		return current, nil
	case current.bare():
		return m.opened(w, body)
	case view == nil:
		return nil, m.fail(ErrHidden)
	case current.isObject() && view.isObject() && body.isObject():
		return m.members(w, current, view, body)
	case current.isArray() && view.isArray() && body.isArray() && len(current.kids) == len(view.kids):
		return m.list(w, current, view, body)
	case !m.shown(w, current, view):
		return nil, m.fail(ErrHidden)
	}
	return m.opened(w, body)
}

// members merges an object in an element that may be written. The object is not what the client sees,
// so nothing may be hidden among its members: it might no longer be true.
func (m *merger) members(w *writable, current, view, body *value) (*value, error) {
	bases := elements(current, body)
	now := map[string]pair{}
	for _, base := range bases {
		is, was, sent := current.pair(base), view.pair(base), body.pair(base)
		hidden := was == (pair{}) && !(is.value.bare() && is.sibling.bare())
		switch {
		case hidden && sent == (pair{}) && describes(w, current, base):
			continue
		case hidden:
			return nil, m.fail(ErrHidden)
		}
		m.path = append(m.path, step{name: base, index: -1})
		var err error
		if now[base], err = m.element(w, is, was, sent); err != nil {
			return nil, err
		}
		m.leave()
	}
	return replaced(current, bases, now), nil
}

// list merges an array in an element that may be written. What the client sends of it as it sees it is
// what it was, wherever it stands now.
func (m *merger) list(w *writable, current, view, body *value) (*value, error) {
	const compared = 1 << 14
	if len(view.kids)*len(body.kids) > compared && len(view.kids) != len(body.kids) {
		return nil, m.fail(ErrTooLong)
	}
	from := make([]int, len(body.kids))
	used := make([]bool, len(view.kids))
	match := func(j, i int) {
		if from[j] < 0 && !used[i] && m.same(&view.kids[i], &body.kids[j]) {
			from[j], used[i] = i, true
		}
	}
	for j := range body.kids {
		if from[j] = -1; j < len(view.kids) {
			match(j, j)
		}
	}
	if len(view.kids)*len(body.kids) <= compared {
		for j := range body.kids {
			for i := range view.kids {
				match(j, i)
			}
		}
	}
	out := &value{name: current.name, raw: "["}
	for j := range body.kids {
		m.into(body, j)
		var (
			kid *value
			err error
		)
		switch i := from[j]; {
		case i >= 0:
			kid = &current.kids[i]
		case len(body.kids) == len(view.kids) && !used[j]:
			used[j] = true
			kid, err = m.value(w, &current.kids[j], &view.kids[j], &body.kids[j])
		default:
			kid, err = m.opened(w, &body.kids[j])
		}
		if err != nil {
			return nil, err
		}
		out.kids = append(out.kids, *kid)
		m.leave()
	}
	for i := range view.kids {
		if !used[i] && !m.shown(w, &current.kids[i], &view.kids[i]) {
			return nil, m.fail(ErrHidden)
		}
	}
	return out, nil
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
