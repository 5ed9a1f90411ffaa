package transforms

// reduced filters a string by the methods that leave less of it; any other value does not leave,
// but that a fixed one takes its place.
func (f *filter) reduced(n *node, c byte) (bool, error) {
	if n.method == Fixed && c != '{' && c != '[' && c != 'n' {
		f.out = append(f.out, n.fixed...)
		return true, f.skip(false)
	}
	if c != '"' {
		return f.object(n, c) // which only looks at it
	}
	if n.method == Mask {
		f.out = append(f.out, `"***"`...)
		return true, f.skip(false)
	}
	text, err := f.text()
	if err != nil {
		return false, err
	}
	switch n.method {
	case Token:
		return true, f.token(n, text)
	case Hash:
		return true, f.hashed(n, text)
	case Shift:
		return f.movable(text)
	case Month:
		if _, _, ok := parseDate(text); !ok {
			return false, nil
		}
		text = text[:min(len(text), len("2006-01"))]
	default:
		if !isYear(text) {
			return false, nil
		}
		text = text[:4]
	}
	f.out = append(append(append(f.out, '"'), text...), '"')
	return true, nil
}

// hashed appends a value's hash as a string.
func (f *filter) hashed(n *node, value []byte) error {
	if f.opt.Hash == nil {
		return f.failBy(ErrToken, errNoHasher)
	}
	out, err := f.opt.Hash.AppendHash(append(f.out, '"'), n.kind, value)
	if err != nil {
		return f.failBy(ErrToken, err)
	}
	f.out = append(out, '"')
	return nil
}

// isYear reports whether a text is a year, or begins with one like a date.
func isYear(text []byte) bool {
	if len(text) < 4 || len(text) > 4 && text[4] != '-' {
		return false
	}
	for _, c := range text[:4] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// token appends a value's token as a string.
func (f *filter) token(n *node, value []byte) error {
	f.out = append(f.out, '"')
	if u := &f.full; n.role == idRole && n.kind == u.kind && string(value) == string(u.id) {
		f.out = append(f.out, u.token...)
	} else if err := f.appendToken(n.kind, value); err != nil {
		return err
	}
	f.out = append(f.out, '"')
	f.tally.tokenized[n.index]++
	return nil
}

func (f *filter) appendToken(kind string, value []byte) error {
	if f.opt.Tokens == nil {
		return f.failBy(ErrToken, errNoToken)
	}
	out, err := f.opt.Tokens.AppendToken(f.out, kind, value)
	if err != nil {
		return f.failBy(ErrToken, err)
	}
	f.out = out
	return nil
}
