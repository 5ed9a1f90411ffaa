package transforms

// entry filters the entry at r. It leaves with its resource, or not at all.
func (f *filter) entry() (bool, error) {
	cur, err := f.enter()
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	written := 0
	var released *row
	for {
		more, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if !more {
			break
		}
		isResource, isURL, isSearch := false, false, false
		f.steps[f.depth].name = "?"
		switch string(cur.name()) {
		case "resource":
			isResource, f.steps[f.depth].name = true, "resource"
		case "fullUrl":
			isURL, f.steps[f.depth].name = true, "fullUrl"
		case "search":
			isSearch, f.steps[f.depth].name = true, "search"
		}
		c, err := f.colon()
		if err != nil {
			return false, err
		}
		at := len(f.out)
		if written > 0 {
			f.out = append(f.out, ',')
		}
		leaves := false
		switch {
		case isResource && c == '{':
			f.out = append(f.out, `"resource":`...)
			released, err = f.entryResource()
			leaves = released != nil
		case isURL && c == '"':
			f.out = append(f.out, `"fullUrl":`...)
			leaves, err = f.fullURL()
		case isSearch && c == '{':
			f.out = append(f.out, `"search":`...)
			leaves, err = f.search()
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
	if released == nil {
		f.subjects.discard()
		return false, nil
	}
	f.out = append(f.out, '}')
	if err := f.held(); err != nil {
		return false, err
	}
	return true, f.commit(released)
}

// entryResource filters the resource at r. It returns its row, or nil where it is dropped.
func (f *filter) entryResource() (*row, error) {
	if _, err := f.typeOf(false); err != nil {
		return nil, err
	}
	r := f.row()
	if r == nil {
		f.drop(nil, causeType)
		return nil, f.skip(false)
	}
	if err := f.resource(r); err != nil {
		return nil, err
	}
	if c := f.verdict(r); c != 0 {
		f.drop(r, c)
		return nil, nil
	}
	return r, nil
}

// fullURL writes the fullUrl at r with its id in a token, where it is below the EHR's base.
func (f *filter) fullURL() (bool, error) {
	text, err := f.text()
	if err != nil {
		return false, err
	}
	l, ok := f.literal(text)
	if !ok || !l.absolute || len(l.version) > 0 {
		return false, nil
	}
	if err := f.refers(l, false); err != nil {
		return false, err
	}
	return true, f.address(l)
}

// search writes the mode and the score of the entry.search at r.
func (f *filter) search() (bool, error) {
	cur, err := f.enter()
	if err != nil {
		return false, err
	}
	f.out = append(f.out, '{')
	written := 0
	for {
		more, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if !more {
			f.out = append(f.out, '}')
			return written > 0, nil
		}
		isMode, isScore := string(cur.name()) == "mode", string(cur.name()) == "score"
		c, err := f.colon()
		if err != nil {
			return false, err
		}
		if !(isMode && c == '"') && !(isScore && (c == '-' || c-'0' < 10)) {
			if err := f.skip(false); err != nil {
				return false, err
			}
			continue
		}
		if written > 0 {
			f.out = append(f.out, ',')
		}
		if isMode {
			f.out = append(f.out, `"mode":`...)
		} else {
			f.out = append(f.out, `"score":`...)
		}
		if _, err := f.scalar(c); err != nil {
			return false, err
		}
		written++
	}
}
