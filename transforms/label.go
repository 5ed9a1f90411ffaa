package transforms

// labels looks whether the value at r, of meta.security, has a denied label, and leaves it there.
func (f *filter) labels() error {
	if len(f.opt.DenyLabels) == 0 {
		return nil
	}
	f.pin = f.r
	if err := f.labelled(); err != nil {
		return err
	}
	if f.pinned() > f.opt.Lookahead {
		return f.fail(ErrLookahead)
	}
	return f.back()
}

// coded is a coding, unescaped.
type coded struct{ system, code []byte }

func (f *filter) labelled() error {
	switch f.buf[f.r] {
	case '[':
		var cur cursor
		err := f.enter(&cur)
		if err != nil {
			return err
		}
		for {
			c, err := f.element(&cur)
			if err != nil || c == 0 {
				return err
			}
			if err := f.labelled(); err != nil {
				return err
			}
		}
	case '{':
		return f.coding()
	}
	return f.skip(true)
}

// coding compares the coding at r with the denied ones.
func (f *filter) coding() error {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return err
	}
	f.coded.system, f.coded.code = f.coded.system[:0], f.coded.code[:0]
	for {
		c, err := f.member(&cur)
		if err != nil {
			return err
		}
		if c == 0 {
			break
		}
		var into *[]byte
		switch string(cur.name()) {
		case "system":
			into = &f.coded.system
		case "code":
			into = &f.coded.code
		}
		if into == nil || c != '"' {
			if err := f.skip(true); err != nil {
				return err
			}
			continue
		}
		text, err := f.text()
		if err != nil {
			return err
		}
		*into = append(*into, text...)
	}
	for _, denied := range f.opt.DenyLabels {
		if string(f.coded.system) == denied.System && string(f.coded.code) == denied.Code {
			f.res.denied = true
		}
	}
	return nil
}
