package cases

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Documents made of other documents.

// typesByID tells the types of a Bundle's resources by their ids.
func typesByID(doc []byte) (map[string]string, error) {
	var bundle struct {
		Entry []struct {
			Resource struct{ ResourceType, ID string }
		}
	}
	if err := json.Unmarshal(doc, &bundle); err != nil {
		return nil, err
	}
	types := map[string]string{}
	for _, e := range bundle.Entry {
		types[e.Resource.ID] = e.Resource.ResourceType
	}
	return types, nil
}

// relative replaces the references between the entries of a transaction, as Synthea writes them,
// by those that a server answers with once it has stored them.
func (s *Set) relative(doc []byte) []byte {
	const urn, uuid = "urn:uuid:", 36
	out := make([]byte, 0, len(doc)+len(doc)/50)
	for {
		i := bytes.Index(doc, []byte(urn))
		if i < 0 || i+len(urn)+uuid > len(doc) {
			return append(out, doc...)
		}
		id := doc[i+len(urn) : i+len(urn)+uuid]
		kind := s.types[string(id)]
		if kind == "" {
			kind = "Practitioner" // of whom most are not in the Bundle
		}
		out = append(append(append(append(out, doc[:i]...), kind...), '/'), id...)
		doc = doc[i+len(urn)+uuid:]
	}
}

// repeat makes a Bundle of at least so many bytes of the entries of another, again and again, with
// other ids each time.
func repeat(doc []byte, size int) ([]byte, error) {
	var bundle struct{ Entry []json.RawMessage }
	if err := json.Unmarshal(doc, &bundle); err != nil {
		return nil, err
	}
	begin := bytes.Index(doc, []byte(`"entry":[`)) + len(`"entry":[`)
	out := slices.Clone(doc[:begin])
	for round := 0; ; round++ {
		for _, e := range bundle.Entry {
			at := len(out)
			out = append(out, e...)
			renumber(out[at:], round)
			if len(out) >= size {
				return append(out, "]}"...), nil
			}
			out = append(out, ',')
		}
	}
}

// lines makes NDJSON of a Bundle's resources.
func lines(doc []byte) ([]byte, error) {
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(doc, &bundle); err != nil {
		return nil, err
	}
	var out []byte
	for _, e := range bundle.Entry {
		out = append(append(out, e.Resource...), '\n')
	}
	return out, nil
}

// renumber turns the first digits of the UUIDs in doc.
func renumber(doc []byte, by int) {
	const digits = "0123456789abcdef"
	for i := 0; i+36 <= len(doc) && by > 0; i++ {
		if doc[i+8] == '-' && doc[i+13] == '-' && doc[i+18] == '-' && doc[i+23] == '-' {
			if d := strings.IndexByte(digits, doc[i]); d >= 0 {
				doc[i] = digits[(d+by)%len(digits)]
			}
		}
	}
}

// tree is a value whose members stay in their order.
type tree struct {
	raw     []byte // of a scalar
	open    byte   // of an object or array
	members []member
}

type member struct {
	name string // raw; "" in an array
	tree
}

// reshape makes a compact document of another by changing its members' order or texts.
func reshape(doc []byte, change func(name string, t *tree)) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(doc))
	t, err := parse(dec)
	if err != nil {
		return nil, err
	}
	t.walk("", change)
	return t.append(nil), nil
}

func parse(dec *jsontext.Decoder) (t tree, err error) {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		raw, err := dec.ReadValue()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return tree{raw: slices.Clone(raw)}, err
	}
	t.open = byte(kind)
	if _, err := dec.ReadToken(); err != nil {
		return t, err
	}
	for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
		var m member
		if kind == '{' {
			name, err := dec.ReadValue()
			if err != nil {
				return t, err
			}
			m.name = string(name)
		}
		if m.tree, err = parse(dec); err != nil {
			return t, err
		}
		t.members = append(t.members, m)
	}
	_, err = dec.ReadToken()
	return t, err
}

func (t *tree) walk(name string, visit func(string, *tree)) {
	visit(name, t)
	for i := range t.members {
		m := &t.members[i]
		if under := m.name; under != "" {
			m.tree.walk(under, visit)
		} else {
			m.tree.walk(name, visit)
		}
	}
}

func (t *tree) append(dst []byte) []byte {
	if t.open == 0 {
		return append(dst, t.raw...)
	}
	dst = append(dst, t.open)
	for i, m := range t.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if t.open == '{' {
			dst = append(append(dst, m.name...), ':')
		}
		dst = m.tree.append(dst)
	}
	return append(dst, t.open+2)
}

const quotedType = `"resourceType"`

// lateType moves a resource's type behind its other members, except the Bundle's.
func lateType(_ string, t *tree) {
	for i, m := range t.members {
		if m.name == quotedType && string(m.raw) != `"Bundle"` {
			t.members = append(slices.Delete(t.members, i, i+1), m)
			return
		}
	}
}

// sortedKeys sorts a resource's members, except the Bundle's.
func sortedKeys(_ string, t *tree) {
	for _, m := range t.members {
		if m.name == quotedType && string(m.raw) != `"Bundle"` {
			slices.SortFunc(t.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
			return
		}
	}
}

// letters stand for a to z in other scripts, of two and of three bytes.
var (
	cyrillic = []rune("абцдефгхийклмнопяртувшыжьз")
	kana     = []rune("あいうえおかきくけこさしすせそたちつてとなにぬねのは")
)

// nonASCII writes what people read (names, addresses, texts, displays) in other scripts: Cyrillic,
// and Japanese every third time.
func nonASCII(name string, t *tree) {
	switch strings.Trim(name, `"`) {
	case "display", "text", "family", "given", "line", "city", "state", "description", "valueString", "unit":
	default:
		return
	}
	if len(t.raw) == 0 || t.raw[0] != '"' || bytes.IndexByte(t.raw, '\\') >= 0 {
		return
	}
	script := cyrillic
	if len(t.raw)%3 == 0 {
		script = kana
	}
	var out []byte
	for _, c := range t.raw {
		if l := c | 0x20; l >= 'a' && l <= 'z' {
			out = append(out, string(script[l-'a'])...)
		} else {
			out = append(out, c)
		}
	}
	t.raw = out
}
