package main

import (
	"bytes"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/halfdoor/halfdoor/test/bench/cases"
	"github.com/halfdoor/halfdoor/transforms"
)

// tokenPeer is the filter on go-json-experiment's jsontext. It streams: what it holds is what is
// written and may have to be taken back. It writes the output by itself, since jsontext's Encoder
// cannot take anything back, and is slower. Like the filter, the Decoder refuses duplicate names
// and invalid UTF-8.
type tokenPeer struct {
	*work
	dec  *jsontext.Decoder
	src  cases.Reader
	out  []byte
	text []byte // unquoted
}

func newTokenPeer(w *work) *tokenPeer {
	return &tokenPeer{work: w, dec: jsontext.NewDecoder(bytes.NewReader(nil))}
}

func (t *tokenPeer) run(in []byte, dst io.Writer) error {
	t.src.Reset(in)
	t.dec.Reset(&t.src)
	t.out = t.out[:0]
	if t.lines {
		return t.each(dst)
	}
	if err := t.bundle(dst); err != nil {
		return err
	}
	if _, err := t.dec.ReadToken(); err != io.EOF {
		return errBundle
	}
	_, err := dst.Write(t.out)
	return err
}

// each filters NDJSON.
func (t *tokenPeer) each(dst io.Writer) error {
	for {
		switch t.dec.PeekKind() {
		case '{':
		case 0:
			if _, err := t.dec.ReadToken(); err != io.EOF {
				return err
			}
			_, err := dst.Write(t.out)
			return err
		default:
			return errInvalid
		}
		at := len(t.out)
		leaves, err := t.resource()
		if err != nil {
			return err
		}
		if !leaves {
			t.out = t.out[:at]
			continue
		}
		if t.out = append(t.out, '\n'); len(t.out) > 32<<10 {
			if _, err := dst.Write(t.out); err != nil {
				return err
			}
			t.out = t.out[:0]
		}
	}
}

// name reads a member's name and writes it. What it returns is in the output, since the Decoder's
// buffer moves.
func (t *tokenPeer) name(written int) (name []byte, at int, err error) {
	raw, err := t.dec.ReadValue()
	if err != nil {
		return nil, 0, err
	}
	at = len(t.out)
	if written > 0 {
		t.out = append(t.out, ',')
	}
	begin := len(t.out)
	t.out = append(append(t.out, raw...), ':')
	name, err = t.unquote(t.out[begin : len(t.out)-1])
	return name, at, err
}

func (t *tokenPeer) unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var err error
	t.text, err = jsontext.AppendUnquote(t.text[:0], raw)
	return t.text, err
}

// copy writes the value as it is.
func (t *tokenPeer) copy() error {
	raw, err := t.dec.ReadValue()
	t.out = append(t.out, raw...)
	return err
}

func (t *tokenPeer) open(c byte) error {
	_, err := t.dec.ReadToken()
	t.out = append(t.out, c)
	return err
}

func (t *tokenPeer) close(c byte) error { return t.open(c) }

func (t *tokenPeer) bundle(dst io.Writer) error {
	if t.dec.PeekKind() != '{' {
		return errBundle
	}
	if err := t.open('{'); err != nil {
		return err
	}
	written, typed := 0, false
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return err
		}
		leaves := true
		switch string(name) {
		case "resourceType":
			typed = true
			err = t.copy()
		case "type":
			err = t.copy()
		case "entry":
			leaves, err = t.entries(dst)
		default:
			leaves, err = false, t.dec.SkipValue()
		}
		if err != nil {
			return err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	if !typed {
		return errBundle
	}
	return t.close('}')
}

func (t *tokenPeer) entries(dst io.Writer) (bool, error) {
	if t.dec.PeekKind() != '[' {
		return false, t.dec.SkipValue()
	}
	if err := t.open('['); err != nil {
		return false, err
	}
	written := 0
	for t.dec.PeekKind() != ']' {
		at := len(t.out)
		if written > 0 {
			t.out = append(t.out, ',')
		}
		leaves, err := t.entry()
		if err != nil {
			return false, err
		}
		if !leaves {
			t.out = t.out[:at]
			continue
		}
		if written++; len(t.out) > 32<<10 {
			if _, err := dst.Write(t.out); err != nil {
				return false, err
			}
			t.out = t.out[:0]
		}
	}
	return written > 0, t.close(']')
}

func (t *tokenPeer) entry() (bool, error) {
	if t.dec.PeekKind() != '{' {
		return false, t.dec.SkipValue()
	}
	if err := t.open('{'); err != nil {
		return false, err
	}
	written, released := 0, false
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		leaves := false
		switch kind := t.dec.PeekKind(); {
		case string(name) == "resource" && kind == '{':
			leaves, err = t.resource()
			released = leaves
		case string(name) == "fullUrl" && kind == '"':
			leaves, err = t.reference()
		case string(name) == "search" && kind == '{':
			leaves, err = t.members("mode", "score")
		default:
			err = t.dec.SkipValue()
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	return released, t.close('}')
}

// members writes two members of an object as they are.
func (t *tokenPeer) members(first, second string) (bool, error) {
	if err := t.open('{'); err != nil {
		return false, err
	}
	written := 0
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		if string(name) == first || string(name) == second {
			err = t.copy()
			written++
		} else {
			t.out = t.out[:at]
			err = t.dec.SkipValue()
		}
		if err != nil {
			return false, err
		}
	}
	return written > 0, t.close('}')
}

// early is a member that came before the resourceType.
type early struct {
	name string
	raw  []byte
}

func (t *tokenPeer) resource() (bool, error) {
	if err := t.open('{'); err != nil {
		return false, err
	}
	var (
		row    *rule
		typed  bool
		tagged bool
		before []early
	)
	written := 0
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		leaves := false
		switch {
		case string(name) == "resourceType":
			var raw []byte
			if raw, err = t.dec.ReadValue(); err != nil {
				return false, err
			}
			if name, err = t.unquote(raw); err != nil {
				return false, err
			}
			row, typed = t.rows[string(name)], true
			if row == nil {
				break
			}
			t.out = append(t.out, raw...)
			written++
			for _, e := range before {
				if err := t.again(row, e, &tagged); err != nil {
					return false, err
				}
			}
			continue
		case !typed:
			member := early{name: string(name)}
			var raw []byte
			raw, err = t.dec.ReadValue()
			member.raw = slices.Clone(raw)
			before = append(before, member)
		case row == nil || row.kids[string(name)] == nil:
			err = t.dec.SkipValue()
		default:
			leaves, err = t.member(row, string(name), &tagged)
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	if row != nil && !tagged {
		t.out = append(append(t.out, `,"meta":`...), tagMeta...)
	}
	return row != nil, t.close('}')
}

// again filters a member that came before the resourceType.
func (t *tokenPeer) again(row *rule, e early, tagged *bool) error {
	if row.kids[e.name] == nil {
		return nil
	}
	at := len(t.out)
	t.out = append(append(append(t.out, ',', '"'), e.name...), '"', ':')
	outer := t.dec
	t.dec = jsontext.NewDecoder(bytes.NewReader(e.raw))
	leaves, err := t.member(row, e.name, tagged)
	if !leaves {
		t.out = t.out[:at]
	}
	t.dec = outer
	return err
}

func (t *tokenPeer) member(row *rule, name string, tagged *bool) (bool, error) {
	at := len(t.out)
	leaves, err := t.value(row.kids[name])
	if name != "meta" || err != nil {
		return leaves, err
	}
	*tagged = true
	if !leaves {
		t.out = append(t.out[:at], tagMeta...)
	} else {
		t.out = append(t.out[:len(t.out)-1], `,"tag":[`+tag+`]}`...)
	}
	return true, nil
}

func (t *tokenPeer) object(r *rule) (bool, error) {
	if err := t.open('{'); err != nil {
		return false, err
	}
	written := 0
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		kid, leaves := r.kids[string(name)], false
		if kid == nil {
			err = t.dec.SkipValue()
		} else {
			leaves, err = t.value(kid)
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	return written > 0, t.close('}')
}

func (t *tokenPeer) value(r *rule) (bool, error) {
	if r.method == transforms.Keep {
		return t.kept(r, r.allow)
	}
	switch kind := t.dec.PeekKind(); {
	case kind == '[':
		return t.array(func() (bool, error) { return t.value(r) })
	case kind == '{' && r.method == transforms.Remove:
		return t.object(r)
	case kind == '{' && r.method == transforms.Reference:
		return t.referenceObject()
	case kind == '"' && r.method == transforms.Token:
		raw, err := t.dec.ReadValue()
		if err != nil {
			return false, err
		}
		text, err := t.unquote(raw)
		if err != nil {
			return false, err
		}
		t.out, err = t.tokens.AppendToken(append(t.out, '"'), r.kind, text)
		t.out = append(t.out, '"')
		return true, err
	}
	return false, t.dec.SkipValue()
}

func (t *tokenPeer) array(each func() (bool, error)) (bool, error) {
	if err := t.open('['); err != nil {
		return false, err
	}
	written := 0
	for t.dec.PeekKind() != ']' {
		at := len(t.out)
		if written > 0 {
			t.out = append(t.out, ',')
		}
		leaves, err := each()
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	return written > 0, t.close(']')
}

func (t *tokenPeer) kept(r *rule, allow leftOut) (bool, error) {
	switch t.dec.PeekKind() {
	case '{':
	case '[':
		return t.array(func() (bool, error) { return t.kept(r, allow) })
	case 'n':
		return false, t.dec.SkipValue()
	default:
		return true, t.copy()
	}
	if err := t.open('{'); err != nil {
		return false, err
	}
	written := 0
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		var kid *rule
		below := allow
		if r != nil {
			if kid = r.kids[string(name)]; kid != nil {
				below |= kid.allow
			}
		}
		kind := t.dec.PeekKind()
		left := leftOutOf(string(name))
		if left == texts && kind != '{' {
			left = 0
		}
		leaves := false
		switch {
		case left&^below != 0:
			err = t.dec.SkipValue()
		case kind == '"' && string(name) == "reference":
			leaves, err = t.reference()
		default:
			leaves, err = t.kept(kid, below)
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	return written > 0, t.close('}')
}

func (t *tokenPeer) reference() (bool, error) {
	raw, err := t.dec.ReadValue()
	if err != nil {
		return false, err
	}
	text, err := t.unquote(raw)
	if err != nil {
		return false, err
	}
	out, ok, err := t.address(append(t.out, '"'), text)
	t.out = append(out, '"')
	return ok, err
}

func (t *tokenPeer) referenceObject() (bool, error) {
	if err := t.open('{'); err != nil {
		return false, err
	}
	written, refers := 0, false
	for t.dec.PeekKind() != '}' {
		name, at, err := t.name(written)
		if err != nil {
			return false, err
		}
		leaves := false
		switch kind := t.dec.PeekKind(); {
		case kind == '"' && string(name) == "reference":
			leaves, err = t.reference()
			refers = leaves
		case kind == '"' && string(name) == "type":
			leaves, err = true, t.copy()
		default:
			err = t.dec.SkipValue()
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			t.out = t.out[:at]
		}
	}
	return refers, t.close('}')
}
