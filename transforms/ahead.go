package transforms

// ahead looks for what must be known of the resource at r before it is filtered, and leaves r
// there: of what holds other resources whether it has a denied label, since what they named cannot be
// forgotten; of a Bundle the type; and the contained resources.
func (f *filter) ahead(r *row) (kind mode, err error) {
	kind = drops
	labels := len(f.opt.DenyLabels) > 0 && !r.contains
	typed, contains := !r.bundle, r.contains
	f.pin = f.r
	err = f.browse(func(name string, c byte) (bool, error) {
		switch {
		case name == "type" && r.bundle && c == '"':
			text, err := f.text()
			kind, typed = modeOf(text), true
			return !labels, err
		case name == "meta" && labels && c == '{':
			labels = false
			if err := f.security(); err != nil {
				return false, err
			}
			return typed || f.res.denied, nil
		case name == "contained" && contains && c == '[':
			return true, f.locateAll()
		}
		return false, f.skip(true)
	})
	if err != nil {
		return 0, err
	}
	if f.pinned() > f.opt.Lookahead {
		return 0, f.fail(ErrLookahead)
	}
	return kind, f.back()
}

func (f *filter) locateAll() error {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return err
	}
	for {
		c, err := f.element(&cur)
		switch {
		case err != nil || c == 0:
			return err
		case c == '{':
			err = f.locate()
		default:
			err = f.skip(true)
		}
		if err != nil {
			return err
		}
	}
}

// security looks whether the meta at r has a denied label.
func (f *filter) security() error {
	return f.browse(func(name string, c byte) (bool, error) {
		if name == "security" {
			return false, f.labelled()
		}
		return false, f.skip(true)
	})
}

// browse visits each member of the object at r, which will be scanned again. At the first byte of its
// value, c, visit moves r behind it; or ends the browsing, and r may stay anywhere. A name is ""
// where nobody asks for it.
func (f *filter) browse(visit func(name string, c byte) (done bool, err error)) error {
	if f.depth == MaxDepth {
		return f.fail(ErrDepth)
	}
	f.depth++
	f.steps[f.depth] = step{index: -1}
	f.r++
	c, err := f.peek()
	if err != nil {
		return f.need(err)
	}
	for first := true; c != '}'; first = false {
		if !first {
			if c != ',' {
				return f.fail(ErrSyntax)
			}
			f.r++
			if c, err = f.peek(); err != nil {
				return f.need(err)
			}
		}
		if c != '"' {
			return f.fail(ErrSyntax)
		}
		text, err := f.text()
		if err != nil {
			return err
		}
		name := aheadName(text)
		if c, err = f.colon(); err != nil {
			return err
		}
		done, err := visit(name, c)
		if err != nil {
			return err
		}
		if done {
			f.depth--
			return nil
		}
		if c, err = f.peek(); err != nil {
			return f.need(err)
		}
	}
	f.r++
	f.depth--
	return nil
}

// aheadName returns the name as a string, where anybody asks for it.
func aheadName(name []byte) string {
	for _, s := range [...]string{"type", "meta", "security", "contained", "resourceType", "id"} {
		if s == string(name) {
			return s
		}
	}
	return ""
}
