package transforms

import (
	"slices"
	"strconv"
	"strings"
)

// JSON Patch (RFC 6902), on a tree.

// maxOperations bounds the operations of a patch.
const maxOperations = 100

// operation is one of a patch. Members that RFC 6902 does not know are ignored, as section 4 says.
type operation struct {
	op         string
	path, from pointer
	value      *value
}

type patch []operation

// pointer is a JSON Pointer (RFC 6901), unescaped; without tokens it is the whole.
type pointer []string

// parsePatch reads a patch.
func parsePatch(doc []byte) (patch, error) {
	v, err := parse(doc, '[')
	if err != nil {
		return nil, refused(err)
	}
	if len(v.kids) > maxOperations {
		return nil, &WriteError{Kind: ErrTooLong}
	}
	all := make(patch, len(v.kids))
	for i := range v.kids {
		if ok := all[i].read(&v.kids[i]); !ok {
			return nil, wrongPatch(ErrPatch, i)
		}
	}
	return all, nil
}

func wrongPatch(kind error, at int) error {
	return &WriteError{Kind: kind, Path: "[" + strconv.Itoa(at) + "]"}
}

// read takes an operation from its object.
func (o *operation) read(v *value) bool {
	op, path := v.get("op"), v.get("path")
	if !op.isString() || !path.isString() {
		return false
	}
	var ok bool
	if o.path, ok = parsePointer(text(path.raw)); !ok {
		return false
	}
	switch o.op = text(op.raw); o.op {
	case "add", "replace", "test":
		o.value = v.get("value")
		return o.value != nil
	case "remove":
		return true
	case "move", "copy":
		from := v.get("from")
		if !from.isString() {
			return false
		}
		o.from, ok = parsePointer(text(from.raw))
		// Section 4.4: nothing can be moved into itself.
		return ok && !(o.op == "move" && len(o.from) < len(o.path) && slices.Equal(o.from, o.path[:len(o.from)]))
	}
	return false
}

// parsePointer reads a pointer: nothing, or tokens with a slash before each (RFC 6901, section 3).
func parsePointer(s string) (pointer, bool) {
	if s == "" {
		return nil, true
	}
	if s[0] != '/' || strings.Count(s, "/") > MaxDepth {
		return nil, false
	}
	tokens := strings.Split(s[1:], "/")
	for i, t := range tokens {
		for j := 0; j < len(t); j++ {
			if t[j] != '~' {
				continue
			}
			if j++; j == len(t) || t[j] != '0' && t[j] != '1' {
				return nil, false
			}
		}
		// Section 4: ~1 first, so that ~01 is ~1 and no slash.
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, true
}

// index reads a token as the place of an element: digits without a zero before them. Of an array with
// n elements, it is below n.
func index(token string, n int) (int, bool) {
	if token == "" || len(token) > 9 || token[0] == '0' && len(token) > 1 {
		return 0, false
	}
	i := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, i < n
}

// find returns what is at a place, or nil.
func (v *value) find(at pointer) *value {
	for _, token := range at {
		if v.isArray() {
			i, ok := index(token, len(v.kids))
			if !ok {
				return nil
			}
			v = &v.kids[i]
		} else if v = v.get(token); v == nil {
			return nil
		}
	}
	return v
}

// apply makes the changes, of which the outcome may take limit bytes.
func (p patch) apply(doc *value, limit int) error {
	for i := range p {
		if kind := p[i].apply(doc); kind != nil {
			return wrongPatch(kind, i)
		}
		// A copy can double what is there.
		if values, bytes := doc.size(); values > maxValues || bytes > max(limit, 2*DefaultWriteLimit) {
			return wrongPatch(ErrTooLong, i)
		}
	}
	return nil
}

func (o *operation) apply(doc *value) error {
	switch o.op {
	case "add":
		return doc.add(o.path, o.value.clone())
	case "remove":
		_, err := doc.take(o.path)
		return err
	case "replace":
		at := doc.find(o.path)
		if at == nil {
			return ErrPatchPlace
		}
		name := at.name
		*at = o.value.clone()
		at.name = name
		return nil
	case "move":
		v, err := doc.take(o.from)
		if err != nil {
			return err
		}
		return doc.add(o.path, v)
	case "copy":
		v := doc.find(o.from)
		if v == nil {
			return ErrPatchPlace
		}
		return doc.add(o.path, v.clone())
	}
	if v := doc.find(o.path); v == nil {
		return ErrPatchPlace
	} else if !v.equals(o.value) {
		return ErrPatchTest
	}
	return nil
}

// add puts a value at a place: into an array before what is there, or at its end; as a member in place
// of one that is there (RFC 6902, section 4.1).
func (v *value) add(at pointer, what value) error {
	if len(at) == 0 {
		what.name = ""
		*v = what
		return nil
	}
	in, last := v.find(at[:len(at)-1]), at[len(at)-1]
	switch {
	case in.isObject():
		what.name = last
		if old := in.get(last); old != nil {
			*old = what
		} else {
			in.kids = append(in.kids, what)
		}
		return nil
	case in.isArray():
		i, ok := len(in.kids), true
		if last != "-" {
			i, ok = index(last, len(in.kids)+1)
		}
		if !ok {
			return ErrPatchPlace
		}
		what.name = ""
		in.kids = slices.Insert(in.kids, i, what)
		return nil
	}
	return ErrPatchPlace
}

// take removes what is at a place, and returns it.
func (v *value) take(at pointer) (value, error) {
	found := v.find(at)
	if len(at) == 0 || found == nil {
		return value{}, ErrPatchPlace
	}
	out := *found
	in := v.find(at[:len(at)-1])
	for i := range in.kids {
		if &in.kids[i] == found {
			in.kids = slices.Delete(in.kids, i, i+1)
			break
		}
	}
	return out, nil
}

// remove takes a member out of an object.
func (v *value) remove(name string) {
	v.kids = slices.DeleteFunc(v.kids, func(k value) bool { return k.name == name })
}

// equals compares as a test does (RFC 6902, section 4.6).
func (v *value) equals(o *value) bool {
	switch {
	case v.isString() && o.isString():
		return text(v.raw) == text(o.raw)
	case v.isObject() && o.isObject():
		if len(v.kids) != len(o.kids) {
			return false
		}
		for i := range v.kids {
			k := o.get(v.kids[i].name)
			if k == nil || !v.kids[i].equals(k) {
				return false
			}
		}
		return true
	case v.isArray() && o.isArray():
		return slices.EqualFunc(v.kids, o.kids, func(a, b value) bool { return a.equals(&b) })
	case isNumber(v.raw) && isNumber(o.raw):
		return sameNumber(v.raw, o.raw)
	}
	return v.raw == o.raw
}

func isNumber(raw string) bool { return raw[0] == '-' || raw[0]-'0' < 10 }
