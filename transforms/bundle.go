package transforms

// list is an array of the Bundle that is written when its first element is.
type list struct {
	member  string // `"entry":[`
	written int
}

// begin appends what comes before the next element.
func (f *filter) begin(l *list, members int) {
	switch {
	case l.written > 0:
		f.out = append(f.out, ',')
	case members > 0:
		f.out = append(append(f.out, ','), l.member...)
	default:
		f.out = append(f.out, l.member...)
	}
}

// bundle filters the Bundle at r. Its type may not have been seen yet.
func (f *filter) bundle() error {
	if f.opt.Root != "" && f.opt.Root != "Bundle" {
		return f.fail(ErrUnexpectedRoot)
	}
	cur, err := f.enter()
	if err != nil {
		return err
	}
	f.out = append(f.out, '{')
	var (
		written    = 0
		typed      = false
		identified = f.opt.RootID == ""
	)
	for {
		more, err := f.member(&cur)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		at := len(f.out)
		leaves := false
		switch name := bundleName(cur.name()); name {
		case "resourceType", "type", "total", "id":
			f.steps[f.depth].name = name
			leaves, err = f.bundleScalar(name, written, &typed, &identified)
		case "link":
			f.steps[f.depth].name = name
			leaves, err = f.list(&list{member: `"link":[`}, written, (*filter).link)
		case "entry":
			f.steps[f.depth].name = name
			leaves, err = f.list(&list{member: `"entry":[`}, written, (*filter).entry)
		default:
			f.steps[f.depth].name = "?"
			if _, err = f.colon(); err == nil {
				err = f.skip(false)
			}
		}
		if err != nil {
			return err
		}
		if leaves {
			written++
		} else {
			f.out = f.out[:min(at, len(f.out))]
		}
		if err := f.ready(); err != nil {
			return err
		}
	}
	switch {
	case !typed:
		return f.fail(ErrNoType)
	case !identified:
		return f.fail(ErrUnexpectedRoot)
	}
	f.out = append(f.out, '}')
	return nil
}

// bundleName returns the name as a string, where the filter knows it.
func bundleName(name []byte) string {
	for _, s := range [...]string{"resourceType", "type", "total", "id", "link", "entry"} {
		if s == string(name) {
			return s
		}
	}
	return ""
}

func (f *filter) bundleScalar(name string, written int, typed, identified *bool) (bool, error) {
	c, err := f.colon()
	if err != nil {
		return false, err
	}
	if written > 0 {
		f.out = append(f.out, ',')
	}
	f.out = append(append(append(f.out, '"'), name...), `":`...)
	switch {
	case name == "resourceType":
		if c != '"' {
			return false, f.fail(ErrNoType)
		}
		kind, err := f.peekText()
		if err != nil {
			return false, err
		}
		if string(kind) != "Bundle" {
			return false, f.fail(ErrUnexpectedRoot)
		}
		*typed = true
		return f.scalar(c)
	case name == "type" && c == '"',
		name == "total" && f.opt.Total && (c == '-' || c-'0' < 10):
		return f.scalar(c)
	case name == "id" && c == '"' && !*identified:
		id, err := f.text()
		*identified = string(id) == f.opt.RootID
		return false, err
	}
	return false, f.skip(false)
}

// list filters an array of the Bundle. Each element that leaves may be released at once.
func (f *filter) list(l *list, members int, each func(*filter) (bool, error)) (bool, error) {
	c, err := f.colon()
	if err != nil {
		return false, err
	}
	if c != '[' {
		return false, f.skip(false)
	}
	cur, err := f.enter()
	if err != nil {
		return false, err
	}
	for {
		c, err := f.element(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			break
		}
		if c != '{' {
			if err := f.skip(false); err != nil {
				return false, err
			}
			continue
		}
		f.hold = len(f.out)
		f.begin(l, members)
		leaves, err := each(f)
		if err != nil {
			return false, err
		}
		if !leaves {
			f.out = f.out[:f.hold]
		} else {
			l.written++
		}
		f.hold = -1
		if err := f.ready(); err != nil {
			return false, err
		}
	}
	if l.written == 0 {
		return false, nil
	}
	f.out = append(f.out, ']')
	return true, nil
}

// link filters the link at r.
func (f *filter) link() (bool, error) {
	cur, err := f.enter()
	if err != nil {
		return false, err
	}
	var relation, url string
	found := 0
	for {
		more, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if !more {
			break
		}
		var into *string
		switch string(cur.name()) {
		case "relation":
			into = &relation
		case "url":
			into = &url
		}
		c, err := f.colon()
		if err != nil {
			return false, err
		}
		if into == nil || c != '"' {
			if err := f.skip(false); err != nil {
				return false, err
			}
			continue
		}
		text, err := f.text()
		if err != nil {
			return false, err
		}
		*into = string(text)
		found++
	}
	if found < 2 || f.opt.Link == nil {
		return false, nil
	}
	url, ok := f.opt.Link(relation, url)
	if !ok {
		return false, nil
	}
	f.out = appendQuoted(append(f.out, `{"relation":`...), relation)
	f.out = appendQuoted(append(f.out, `,"url":`...), url)
	f.out = append(f.out, '}')
	return true, nil
}
