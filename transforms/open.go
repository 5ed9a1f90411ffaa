package transforms

import "slices"

// Opener opens the tokens that a Tokenizer made.
type Opener interface {
	// Open returns the value of a client's token. The kind is what the Tokenizer was given: a
	// resource type for an id, or the path of another element. What is no token of this client and
	// kind is an error; where a client is shown an id itself, the id may open as itself.
	Open(kind, token string) (string, error)
}

// opens opens one token.
func (m *merger) opens(kind, token string) (string, bool) {
	if m.o.Open == nil {
		return "", false
	}
	value, err := m.o.Open.Open(kind, token)
	return value, err == nil
}

// target is the resource that a client's reference names: by a token, relative or below the gateway's
// base.
func (m *merger) target(reference string) (l literal, ok bool) {
	at := Options{EHR: []string{m.o.Base}}
	if l, ok = at.literal([]byte(reference)); !ok {
		return l, false
	}
	id, ok := m.opens(string(l.kind), string(l.id))
	l.id = []byte(id)
	return l, ok && len(id) > 0 && idLength(l.id) == len(id)
}

// opened is what a client's value of an element is to the EHR: with tokens opened. A reference becomes
// one that is relative, to what is the EHR's own.
func (m *merger) opened(w *writable, v *value) (*value, error) {
	if v == nil {
		return nil, nil
	}
	out := *v
	switch {
	case v.isString() && v.name == "reference" && w.method != Token:
		s := text(v.raw)
		if m.o.Within != nil && m.o.Within(s) {
			return &out, nil
		}
		l, ok := m.target(s)
		if !ok {
			return nil, m.fail(ErrUnopened)
		}
		out.raw = stringOf(string(l.kind) + "/" + string(l.id) + string(l.version)).raw
	case v.isString() && w.method == Token:
		s, ok := m.opens(m.kind+"."+w.path, text(v.raw))
		if !ok {
			return nil, m.fail(ErrUnopened)
		}
		out.raw = stringOf(s).raw
	}
	out.kids = slices.Clone(v.kids)
	for i := range out.kids {
		m.into(v, i)
		kid, err := m.opened(w, &v.kids[i])
		if err != nil {
			return nil, err
		}
		out.kids[i] = *kid
		m.leave()
	}
	return &out, nil
}

// same reports whether a client's value, or a view, says what another does. Members may come in
// another order, a text with other escapes; and a token may be one that opens as the other does, since
// keys are rotated. Where they differ first is noted.
func (m *merger) same(a, b *value) bool {
	switch {
	case a == nil || b == nil:
		return a == b || m.differs()
	case a.raw == b.raw && len(a.kids) == 0 && len(b.kids) == 0:
		return true
	case a.isObject() && b.isObject():
		return m.sameMembers(a, b)
	case a.isArray() && b.isArray():
		if len(a.kids) != len(b.kids) {
			return m.differs()
		}
		for i := range a.kids {
			m.into(a, i)
			if !m.same(&a.kids[i], &b.kids[i]) {
				m.leave()
				return false
			}
			m.leave()
		}
		return true
	case a.isString() && b.isString():
		x, y := text(a.raw), text(b.raw)
		return x == y || m.sameToken(x, y) || m.stands(x, y) || m.differs()
	}
	return m.differs()
}

// within stands for a reference to another entry of the transaction, which the filter would remove.
const within = "Resource/within"

// standIn puts it there.
func (m *merger) standIn(v *value) {
	if v.name == "reference" && v.isString() && m.o.Within(text(v.raw)) {
		v.raw = stringOf(within).raw
	}
	for i := range v.kids {
		m.standIn(&v.kids[i])
	}
}

// stands reports whether it stands in the view for what a client sent.
func (m *merger) stands(sent, view string) bool {
	if m.o.Within == nil || !m.o.Within(sent) {
		return false
	}
	l, ok := m.target(view)
	return ok && string(l.kind)+"/"+string(l.id) == within
}

func (m *merger) sameMembers(a, b *value) bool {
	for i := range a.kids {
		k := &a.kids[i]
		other := (*value)(nil)
		if i < len(b.kids) && b.kids[i].name == k.name {
			other = &b.kids[i] // in the same order, mostly
		} else {
			other = b.get(k.name)
		}
		m.into(a, i)
		if !m.same(k, other) {
			m.leave()
			return false
		}
		m.leave()
	}
	if len(a.kids) == len(b.kids) {
		return true
	}
	for i := range b.kids {
		if a.get(b.kids[i].name) == nil {
			m.into(b, i)
			m.differs()
			m.leave()
			return false
		}
	}
	return false
}

// sameToken reports whether two texts at the place at hand are tokens, or references, of one thing.
func (m *merger) sameToken(a, b string) bool {
	if len(m.path) > 0 && m.path[len(m.path)-1].name == "reference" {
		x, ok := m.target(a)
		y, also := m.target(b)
		return ok && also && string(x.kind) == string(y.kind) && string(x.id) == string(y.id) && string(x.version) == string(y.version)
	}
	path := m.names()
	if m.plan.Method(m.kind, path) != Token {
		return false
	}
	x, ok := m.opens(m.kind+"."+path, a)
	y, also := m.opens(m.kind+"."+path, b)
	return ok && also && x == y
}
