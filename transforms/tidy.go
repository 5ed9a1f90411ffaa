package transforms

import (
	"bytes"
	"slices"
)

// What cannot be decided while a resource streams by, because it depends on what comes behind:
//
//   - a date that could not be moved is cut out, and what ends empty with it;
//   - the lists of an element and of its sibling with the underscore hold together by place
//     (json.html#primitive): where neither has anything, the place leaves both, and the shorter one
//     is filled up with null. A null without a sibling's list, or in a list of lists, leaves.
//
// It is done once, at the end of a resource, and only where something was met that may need it.

// tidier goes through a resource of the output, which is valid JSON without white space between
// tokens but for the marks of dates and places, and writes it anew.
type tidier struct {
	in, out []byte
	tail    []byte  // scratch
	arrays  []array // members of the objects that are open
	nulls   []null
	edits   []edit
}

// array is a member's list that was written.
type array struct {
	name     []byte // in its quotes
	end      int    // where its closing bracket is in out
	length   int
	from, to int // its nulls
}

// null is one of an array, at its index and at its place in out.
type null struct{ index, at int }

// edit cuts out from a place on, and puts nulls there.
type edit struct{ at, cut, nulls int }

// tidy writes out anew from a place on.
func (f *filter) tidy(from int) {
	t := &f.tidier
	t.in, t.out = f.out[from:], t.out[:0]
	t.object(0)
	f.out = append(f.out[:from], t.out...)
	t.in = nil
	t.arrays, t.nulls = t.arrays[:0], t.nulls[:0]
	if cap(t.out) > bufferBytes {
		t.out, t.tail = nil, nil
	}
	if cap(t.nulls) > 4<<10 {
		t.nulls, t.edits = nil, nil
	}
}

// value writes the value at i, and returns the index behind it. It reports whether the value leaves.
func (t *tidier) value(i int) (int, bool) {
	switch t.in[i] {
	case '{':
		return t.object(i)
	case '[':
		nulls := len(t.nulls)
		end, leaves, _ := t.array(i, true)
		t.nulls = t.nulls[:nulls]
		return end, leaves
	case unmoved:
		return valueEnd(t.in, i), false
	}
	end := valueEnd(t.in, i)
	t.out = append(t.out, t.in[i:end]...)
	return end, true
}

// array writes the array at i. In a list of lists, nulls do not leave; else they are noted.
func (t *tidier) array(i int, inner bool) (end int, leaves bool, length int) {
	t.out = append(t.out, '[')
	for i++; t.in[i] != ']'; {
		if t.in[i] == ',' {
			i++
		}
		at := len(t.out)
		if length > 0 {
			t.out = append(t.out, ',')
		}
		if t.in[i] == 'n' {
			i += len("null")
			if inner {
				t.out = t.out[:at]
				continue
			}
			t.nulls = append(t.nulls, null{length, len(t.out)})
			t.out = append(t.out, "null"...)
			length++
			continue
		}
		if t.in[i] == placed {
			end := i + 1 + bytes.IndexByte(t.in[i+1:], placed) + 1
			t.out = append(t.out, t.in[i:end]...)
			i = end
		}
		var some bool
		if i, some = t.value(i); !some {
			t.out = t.out[:at]
			continue
		}
		leaves = true
		length++
	}
	t.out = append(t.out, ']')
	return i + 1, leaves, length
}

func (t *tidier) object(i int) (end int, leaves bool) {
	arrays, nulls := len(t.arrays), len(t.nulls)
	t.out = append(t.out, '{')
	for i++; t.in[i] != '}'; {
		if t.in[i] == ',' {
			i++
		}
		at, held := len(t.out), len(t.nulls)
		if leaves {
			t.out = append(t.out, ',')
		}
		nameEnd := valueEnd(t.in, i)
		name := t.in[i:nameEnd]
		t.out = append(append(t.out, name...), ':')
		i = nameEnd + 1
		list, some, length := t.in[i] == '[', false, 0
		if list {
			i, some, length = t.array(i, false)
		} else {
			i, some = t.value(i)
		}
		if !some {
			t.out, t.nulls = t.out[:at], t.nulls[:held]
			continue
		}
		leaves = true
		if list {
			t.arrays = append(t.arrays, array{name, len(t.out) - 1, length, held, len(t.nulls)})
		}
	}
	t.out = append(t.out, '}')
	t.align(t.arrays[arrays:])
	t.arrays, t.nulls = t.arrays[:arrays], t.nulls[:nulls]
	return i + 1, leaves
}

// align aligns the lists of an object.
func (t *tidier) align(arrays []array) {
	if !slices.ContainsFunc(arrays, func(a array) bool { return a.from < a.to || isSibling(plainName(a.name)) }) {
		return
	}
	var byName map[string]int // where a search would take long
	if len(arrays) > 8 {
		byName = make(map[string]int, len(arrays))
		for i := range arrays {
			byName[string(plainName(arrays[i].name))] = i
		}
	}
	t.edits = t.edits[:0]
	for i := range arrays {
		var other *array
		switch name := plainName(arrays[i].name); {
		case isSibling(name):
			other = find(arrays, byName, name[1:])
		case len(name) == 0 || name[0] != '_':
			other = find(arrays, byName, append([]byte{'_'}, name...))
		}
		t.place(&arrays[i], other)
	}
	t.apply()
}

// isSibling reports whether a name is that of an element's ids and extensions.
func isSibling(name []byte) bool {
	return len(name) > 0 && name[0] == '_' && (len(name) == 1 || name[1] != '_')
}

// plainName returns a name without its quotes, unescaped.
func plainName(quoted []byte) []byte {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		return unescape(nil, name)
	}
	return name
}

// find returns the array of a name, or nil.
func find(arrays []array, byName map[string]int, name []byte) *array {
	if byName != nil {
		if i, ok := byName[string(name)]; ok {
			return &arrays[i]
		}
		return nil
	}
	for i := range arrays {
		if bytes.Equal(plainName(arrays[i].name), name) {
			return &arrays[i]
		}
	}
	return nil
}

// place notes what to change in an array beside another, which may be nil.
func (t *tidier) place(a, other *array) {
	var theirs []null
	length := 0
	if other != nil {
		theirs, length = t.nulls[other.from:other.to], other.length
	}
	both := 0 // places that leave both
	for _, n := range t.nulls[a.from:a.to] {
		for len(theirs) > 0 && theirs[0].index < n.index {
			theirs = theirs[1:]
		}
		if n.index < length && (len(theirs) == 0 || theirs[0].index != n.index) {
			continue
		}
		e := edit{at: n.at, cut: len("null")}
		switch {
		case n.index > both:
			e.at-- // with the comma before it
			e.cut++
		case t.out[n.at+e.cut] == ',':
			e.cut++ // all before it go as well
		}
		both++
		t.edits = append(t.edits, e)
	}
	// What the other has beyond the end of this one, and that leaves.
	fill := length - a.length
	if fill <= 0 {
		return
	}
	for _, n := range t.nulls[other.from:other.to] {
		if n.index >= a.length {
			fill--
		}
	}
	t.edits = append(t.edits, edit{at: a.end, nulls: fill})
}

// apply makes the edits, which are in the order of their places for each array.
func (t *tidier) apply() {
	if len(t.edits) == 0 {
		return
	}
	slices.SortFunc(t.edits, func(a, b edit) int { return a.at - b.at })
	from := t.edits[0].at
	t.tail = append(t.tail[:0], t.out[from:]...)
	t.out = t.out[:from]
	done := 0
	for _, e := range t.edits {
		t.out = append(t.out, t.tail[done:e.at-from]...)
		done = e.at - from + e.cut
		for range e.nulls {
			t.out = append(t.out, ",null"...)
		}
	}
	t.out = append(t.out, t.tail[done:]...)
}
