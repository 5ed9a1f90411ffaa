package transforms

// entry filters the entry at r. It leaves with its resource, or not at all; in a batch-response or
// transaction-response, where each entry answers the request at its place, one without a resource
// leaves with its response, and a refusal takes the place of one that may not.
func (f *filter) entry(c byte) (bool, error) {
	begin, mark := len(f.out), f.subjects.named.Len()
	if c != '{' {
		if err := f.skip(false); err != nil {
			return false, err
		}
		return f.refuse(begin, mark, drops), nil
	}
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	var (
		written              = 0
		released             *row
		had                  = false // a resource, or one that was refused
		responded, requested = false, false
		answer               = companion{} // where response is in out
	)
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			break
		}
		name := entryName(cur.name())
		f.steps[f.depth].name = name
		if name == "" {
			f.steps[f.depth].name = "?"
		}
		requested = requested || name == "request"
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		switch {
		case name == "" || c != '"' && c != '{':
			err = f.skip(false)
		case name == "fullUrl" && c == '"':
			f.out = append(f.out, `"fullUrl":`...)
			leaves, err = f.fullURL()
		case name == "fullUrl" || c == '"':
			err = f.skip(false)
		case name == "resource":
			f.out = append(f.out, `"resource":`...)
			released, err = f.inner()
			had, leaves = true, released != nil
		case name == "search":
			f.out = append(f.out, `"search":`...)
			leaves, err = f.sought.again(f, (*filter).search)
		case name == "request":
			f.out = append(f.out, `"request":`...)
			leaves, err = f.request()
		case name == "response":
			responded = true
			from := len(f.out)
			f.out = append(f.out, `"response":`...)
			if leaves, err = f.response(); leaves {
				answer = companion{from, len(f.out)}
			}
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
	// bundle.html, bdl-3 and bdl-4: a history's entries have both, an answer's a response only.
	shape := drops
	if responded && !requested {
		shape = replaces
	}
	switch {
	case released != nil:
		f.out = append(f.out, '}')
	case !had && answer.to > 0 && f.decide(shape) == replaces:
		f.out = append(f.out[:begin+1], f.out[answer.from:answer.to]...)
		f.out = append(f.out, '}')
	default:
		return f.refuse(begin, mark, shape), nil
	}
	f.subjects.commit()
	return true, f.held()
}

// entryName returns the name as a string, where the filter knows it.
func entryName(name []byte) string {
	for _, s := range [...]string{"resource", "fullUrl", "search", "request", "response"} {
		if s == string(name) {
			return s
		}
	}
	return ""
}

// decide returns what becomes of an entry of a shape that has no resource that leaves.
func (f *filter) decide(shape mode) mode {
	b := &f.bun
	if b.mode != undecided {
		return b.mode
	}
	b.replaced = b.replaced || shape == replaces
	b.dropped = b.dropped || shape == drops
	return shape
}

// refuse drops or replaces an entry that began at a place of the output, with whom it named.
func (f *filter) refuse(begin, mark int, shape mode) bool {
	f.subjects.discard(mark)
	f.out = f.out[:begin]
	if f.decide(shape) == drops {
		return false
	}
	f.out = append(f.out, refusal...)
	return true
}

// inner filters the resource at r, which is inside another one, and counts it. It returns its row,
// or nil where it does not leave.
func (f *filter) inner() (*row, error) {
	if !f.sameType() {
		if _, err := f.typeOf(false); err != nil {
			return nil, err
		}
	}
	return f.typed()
}

// sameType reports whether the object at r begins with the resourceType that typeOf found last.
func (f *filter) sameType() bool {
	const begins = `{"resourceType":"`
	rest := f.buf[f.r:]
	end := len(begins) + len(f.kind)
	return len(rest) > end && string(rest[:len(begins)]) == begins && string(rest[len(begins):end]) == string(f.kind) && rest[end] == '"'
}

// typed does so once typeOf has found its type.
func (f *filter) typed() (*row, error) {
	mark := f.subjects.named.Len()
	r := f.row()
	if r == nil || r.bundle && f.nested == maxNested || r.parameters && f.within > 0 {
		f.drop(nil, causeType)
		return nil, f.skip(false)
	}
	if err := f.resource(r); err != nil {
		return nil, err
	}
	if c := f.verdict(r); c != 0 {
		f.drop(r, c)
		f.subjects.discard(mark)
		return nil, nil
	}
	return r, f.commit(r)
}

// search writes the mode and the score of the entry.search at r, and how sure a match is.
func (f *filter) search() (bool, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	written := 0
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, '}')
			return written > 0, nil
		}
		if string(cur.name()) == "extension" {
			at := len(f.out)
			graded, err := f.list(&list{member: `"extension":[`}, written, c, (*filter).grade)
			switch {
			case err != nil:
				return false, err
			case graded:
				written++
			default:
				f.out = f.out[:min(at, len(f.out))]
			}
			continue
		}
		isMode, isScore := string(cur.name()) == "mode", string(cur.name()) == "score"
		if !(isMode && c == '"') && !(isScore && (c == '-' || c-'0' < 10)) {
			if err := f.skip(false); err != nil {
				return false, err
			}
			continue
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		if isMode {
			f.out = append(f.out, `"mode":`...)
			leaves, err = f.code()
		} else {
			f.out = append(f.out, `"score":`...)
			leaves, err = f.scalar(c)
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

// code writes the string at r, where it is a code such as FHIR's own value sets have, in which nobody
// can be told of: lower-case words joined by hyphens.
func (f *filter) code() (bool, error) {
	text, err := f.text()
	if err != nil || len(text) == 0 || len(text) > 64 {
		return false, err
	}
	for _, c := range text {
		if (c < 'a' || c > 'z') && c != '-' {
			return false, nil
		}
	}
	f.out = append(append(append(f.out, '"'), text...), '"')
	return true, nil
}

// matchGrade is the extension by which $match says how sure it is (FHIR R4, patient-operation-match.html).
const matchGrade = "http://hl7.org/fhir/StructureDefinition/match-grade"

var grades = [...]string{"certain", "probable", "possible", "certainly-not"}

// grade writes the extension at r anew where it is that one, with one of the codes that it may have. No other leaves.
func (f *filter) grade(c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	is, code := false, ""
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			break
		}
		isURL, isCode := string(cur.name()) == "url", string(cur.name()) == "valueCode"
		if c != '"' || !isURL && !isCode {
			if err := f.skip(false); err != nil {
				return false, err
			}
			continue
		}
		text, err := f.text()
		if err != nil {
			return false, err
		}
		if isURL {
			is = string(text) == matchGrade
		} else {
			for _, g := range grades {
				if g == string(text) {
					code = g
				}
			}
		}
	}
	if !is || code == "" {
		return false, nil
	}
	f.out = append(f.out, `{"url":"`+matchGrade+`","valueCode":"`...)
	f.out = append(append(f.out, code...), `"}`...)
	return true, nil
}
