package transforms

// literal is a reference to a resource of the EHR (references.html#literal).
type literal struct {
	absolute bool
	kind, id []byte
	version  []byte // with "/_history/" before it, or empty
}

// literal takes a reference apart: Type/id, Type/id/_history/version, or these below one of the
// EHR's base URLs. Anything else names nothing that the gateway could answer for.
func (o *Options) literal(s []byte) (literal, bool) {
	for _, base := range o.EHR {
		if len(s) > len(base) && s[len(base)] == '/' && string(s[:len(base)]) == base {
			if l, ok := parseLiteral(s[len(base)+1:]); ok {
				l.absolute = true
				return l, true
			}
		}
	}
	return parseLiteral(s)
}

func parseLiteral(s []byte) (l literal, ok bool) {
	const history = "/_history/"
	i := 0
	for i < len(s) && idBytes[s[i]]&letter != 0 {
		i++
	}
	if i == 0 || i == len(s) || s[0] > 'Z' || s[i] != '/' {
		return literal{}, false
	}
	l.kind, s = s[:i], s[i+1:]
	n := idLength(s)
	if n == 0 {
		return literal{}, false
	}
	l.id, l.version = s[:n], s[n:]
	if len(l.version) == 0 {
		return l, true
	}
	if len(l.version) <= len(history) || string(l.version[:len(history)]) != history {
		return literal{}, false
	}
	version := l.version[len(history):]
	return l, idLength(version) == len(version)
}

// idLength returns how many bytes of s are an id (datatypes.html#id); 0 where they are too many.
func idLength(s []byte) int {
	n := 0
	for n < len(s) && idBytes[s[n]] != 0 {
		n++
	}
	if n > 64 {
		return 0
	}
	return n
}

// idBytes tells the bytes that an id may have, and of these the letters, which a type has. It is
// never written to.
var idBytes = func() (kinds [256]byte) {
	for c := range kinds {
		switch l := c | 0x20; {
		case l >= 'a' && l <= 'z' && c < 0x80:
			kinds[c] = letter
		case c >= '0' && c <= '9', c == '-', c == '.':
			kinds[c] = other
		}
	}
	return kinds
}()

const (
	letter = 1 + iota
	other
)

// refers notes whom a reference names. A part decides on the patient's compartment.
func (f *filter) refers(l literal, part bool) error {
	if string(l.kind) != "Patient" {
		return nil
	}
	if s := &f.habits.lesson; s.learning {
		s.patients++
		s.patient, s.part = append(s.patient[:0], l.id...), part
	}
	if part {
		f.res.names(l.id)
		if string(l.id) == f.opt.Patient {
			f.res.inside = true
		}
	}
	return f.subject("Patient", l.id)
}

// look notes whom the reference at r names, where it is a part, and leaves it there.
func (f *filter) look(n *node) error {
	if !n.part {
		return nil
	}
	text, err := f.peekText()
	if err != nil {
		return err
	}
	if l, ok := f.opt.literal(text); ok {
		return f.refers(l, true)
	}
	return nil
}

// reference writes the reference at r, a string, as it leaves: with its id in a token, and the
// gateway's base for the EHR's; or as it is, where it names a contained resource that leaves. It
// does not leave when it names nothing of the EHR. The token counts for the row.
func (f *filter) reference(row *node, part bool) (bool, error) {
	text, err := f.text()
	if err != nil {
		return false, err
	}
	if len(text) > 1 && text[0] == '#' {
		if !f.refersTo(text[1:]) {
			return false, nil
		}
		f.out = append(append(append(f.out, '"'), text...), '"')
		return true, nil
	}
	l, ok := f.opt.literal(text)
	if !ok {
		return false, nil
	}
	if err := f.refers(l, part); err != nil {
		return false, err
	}
	f.leads(l)
	f.tally.tokenized[row.index]++
	return true, f.address(l)
}

// address appends where the client finds what a reference names.
func (f *filter) address(l literal) error {
	f.out = append(f.out, '"')
	if l.absolute {
		f.out = append(append(f.out, f.gateway...), '/')
	}
	f.out = append(append(f.out, l.kind...), '/')
	if err := f.appendToken(f.typeName(l.kind), l.id); err != nil {
		return err
	}
	f.out = append(append(f.out, l.version...), '"')
	return nil
}

// typeName returns a type's name as a string without making a new one each time.
func (f *filter) typeName(kind []byte) string {
	if r := f.rowOf(kind); r != nil {
		return r.kind
	}
	for _, s := range f.kinds {
		if s == string(kind) {
			return s
		}
	}
	s := string(kind)
	if len(f.kinds) < 64 && len(s) <= 64 {
		f.kinds = append(f.kinds, s)
	}
	return s
}

// referenceObject writes a Reference: its reference, and its type. Without the one, the other
// does not leave.
func (f *filter) referenceObject(n *node, c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	written, refers := 0, false
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, '}')
			return refers, nil
		}
		kid, under := cur.find(n)
		name := cur.name()
		isReference, isType := string(name) == "reference", string(name) == "type"
		f.steps[f.depth].name = "?"
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		switch {
		case isReference && c == '"':
			f.out = append(f.out, `"reference":`...)
			leaves, err = f.reference(n, n.part)
			refers = leaves
		case kid != nil && !under:
			_, err = f.value(kid, c) // which only looks at it
		case isType && c == '"':
			f.out = append(f.out, `"type":`...)
			leaves, err = f.scalar(c)
		default:
			err = f.skip(false)
		}
		if err != nil {
			return false, err
		}
		if leaves {
			written++
		} else {
			f.out = f.out[:at]
		}
	}
}
