package transforms

// What is said of an entry's request and response (bundle.html#history, http.html#transaction).
// Nothing of it depends on the Bundle's type.

// request writes the method and the url of the entry.request at r. The url may hold what was
// searched for, and leaves only where it is a resource's, or a type that may leave; without
// it, nothing of the request leaves.
func (f *filter) request() (bool, error) {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	written, located := 0, false
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			f.out = append(f.out, '}')
			return located, nil
		}
		isMethod, isURL := string(cur.name()) == "method", string(cur.name()) == "url"
		f.steps[f.depth].name = "?"
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		switch {
		case isMethod && c == '"':
			f.out = append(f.out, `"method":`...)
			leaves, err = f.verb()
		case isURL && c == '"':
			f.out = append(f.out, `"url":`...)
			leaves, err = f.requestURL()
			located = leaves
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

// verb writes the HTTP method at r.
func (f *filter) verb() (bool, error) {
	text, err := f.text()
	if err != nil {
		return false, err
	}
	switch string(text) {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
		f.out = append(append(append(f.out, '"'), text...), '"')
		return true, nil
	}
	return false, nil
}

func (f *filter) requestURL() (bool, error) {
	text, err := f.text()
	if err != nil {
		return false, err
	}
	if r := f.allowed(f.plan.rows[string(text)]); r != nil {
		f.out = append(append(append(f.out, '"'), r.kind...), '"')
		return true, nil
	}
	return f.located(text)
}

// located writes the address of a resource whose type may leave.
func (f *filter) located(text []byte) (bool, error) {
	l, ok := f.opt.literal(text)
	if !ok || f.allowed(f.plan.rows[string(l.kind)]) == nil {
		return false, nil
	}
	if err := f.refers(l, false); err != nil {
		return false, err
	}
	return true, f.address(l)
}

// response writes the status, the location and the outcome of the entry.response at r; etag and
// lastModified do not leave.
func (f *filter) response() (bool, error) {
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
		name := ""
		switch string(cur.name()) {
		case "status":
			name = "status"
		case "location":
			name = "location"
		case "outcome":
			name = "outcome"
		}
		f.steps[f.depth].name = name
		if name == "" {
			f.steps[f.depth].name = "?"
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		switch {
		case name == "status" && c == '"':
			f.out = append(f.out, `"status":`...)
			leaves, err = f.status()
		case name == "location" && c == '"':
			f.out = append(f.out, `"location":`...)
			var text []byte
			if text, err = f.text(); err == nil {
				leaves, err = f.located(text)
			}
		case name == "outcome" && c == '{':
			f.out = append(f.out, `"outcome":`...)
			leaves, err = f.responseOutcome()
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

// status writes the code that the status at r begins with: the text behind it is the EHR's.
func (f *filter) status() (bool, error) {
	text, err := f.text()
	if err != nil {
		return false, err
	}
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
		return false, nil
	}
	for _, c := range text[:3] {
		if c < '0' || c > '9' {
			return false, nil
		}
	}
	f.out = append(append(append(f.out, '"'), text[:3]...), '"')
	return true, nil
}

// responseOutcome filters the outcome at r, which is no resource of its own to count.
func (f *filter) responseOutcome() (bool, error) {
	mark := f.subjects.named.Len()
	if _, err := f.typeOf(false); err != nil {
		return false, err
	}
	if string(f.kind) != "OperationOutcome" {
		return false, f.skip(false)
	}
	if err := f.resource(f.plan.outcome); err != nil {
		return false, err
	}
	f.tally.discard(f.plan.outcome)
	if f.verdict(f.plan.outcome) != 0 {
		f.subjects.discard(mark)
		return false, nil
	}
	return true, nil
}

// refusal takes the place of an entry that may not leave, where places mean something. It is always
// the same, so that it tells nothing of what was there.
const refusal = `{"response":{"status":"403 Forbidden","outcome":{"resourceType":"OperationOutcome",` +
	`"issue":[{"severity":"error","code":"forbidden","details":{"text":"The gateway does not release this answer."}}]}}}`
