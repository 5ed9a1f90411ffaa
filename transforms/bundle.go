package transforms

// bundling is what is known of the Bundle that is being filtered.
type bundling struct {
	mode mode
	want string // the type that it must have, where set

	// What was done to entries before the type was known.
	dropped, replaced bool
}

// mode is what becomes of an entry that may not leave.
type mode uint8

const (
	undecided mode = iota // the type has not been seen: the entry's shape decides, and type must agree
	drops                 // it is left out
	replaces              // a refusal takes its place, since the place tells what it answers
)

// modeOf returns the mode of a Bundle's type.
func modeOf[S ~string | ~[]byte](kind S) mode {
	switch string(kind) {
	case "batch-response", "transaction-response":
		return replaces
	}
	return drops
}

// maxNested bounds how many Bundles are open inside one another, below the root.
const maxNested = 3

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

// rootBundle filters the Bundle at r. Its resourceType may not have been seen yet.
func (f *filter) rootBundle() error {
	if f.opt.Root != "" && f.opt.Root != "Bundle" {
		return f.fail(ErrUnexpectedRoot)
	}
	f.bun = bundling{want: f.opt.BundleType}
	if f.bun.want != "" {
		f.bun.mode = modeOf(f.bun.want)
	}
	return f.bundle(f.opt.RootID)
}

// nestedBundle filters the Bundle at r, which is inside another resource, and held with that. Its
// type has been looked for.
func (f *filter) nestedBundle(kind mode) error {
	outer := f.bun
	f.bun = bundling{mode: kind}
	f.nested++
	err := f.bundle("")
	f.nested--
	f.bun = outer
	return err
}

// bundle filters the Bundle at r, which must have the id, where set.
func (f *filter) bundle(id string) error {
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return err
	}
	f.out = append(f.out, '{')
	var (
		written    = 0
		typed      = false
		identified = id == ""
	)
	for {
		c, err := f.member(&cur)
		if err != nil {
			return err
		}
		if c == 0 {
			break
		}
		at := len(f.out)
		leaves := false
		name := bundleName(cur.name())
		f.steps[f.depth].name = name
		if name == "" {
			f.steps[f.depth].name = "?"
		}
		switch name {
		case "resourceType", "type", "total":
			leaves, err = f.bundleScalar(name, c, written)
			typed = typed || name == "resourceType"
		case "id":
			var same bool
			if same, err = f.isText(id, c); same {
				identified = true
			}
		case "link":
			leaves, err = f.list(&list{member: `"link":[`}, written, c, (*filter).link)
		case "entry":
			leaves, err = f.list(&list{member: `"entry":[`}, written, c, (*filter).entry)
		default:
			err = f.skip(false)
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
	case !identified, f.bun.want != "":
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

// isText reports whether the value at r is the text.
func (f *filter) isText(want string, c byte) (bool, error) {
	if c != '"' || want == "" {
		return false, f.skip(false)
	}
	text, err := f.text()
	return string(text) == want, err
}

func (f *filter) bundleScalar(name string, c byte, written int) (bool, error) {
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
		return f.scalar(c)
	case name == "type" && c == '"':
		kind, err := f.peekText()
		if err != nil {
			return false, err
		}
		if !f.insist(kind) {
			return false, f.fail(ErrUnexpectedRoot)
		}
		return f.scalar(c)
	case name == "total" && f.opt.Total && (c == '-' || c-'0' < 10):
		return f.scalar(c)
	}
	return false, f.skip(false)
}

// insist reports whether a Bundle may be of a type, after what was done so far.
func (f *filter) insist(kind []byte) bool {
	b := &f.bun
	if b.want != "" && string(kind) != b.want {
		return false
	}
	b.want = ""
	if b.mode == undecided {
		b.mode = modeOf(kind)
		return !(b.mode == drops && b.replaced) && !(b.mode == replaces && b.dropped)
	}
	return true
}

// list filters an array of the Bundle. Each element that leaves may be released at once, unless the
// Bundle itself is held.
func (f *filter) list(l *list, members int, c byte, each func(*filter, byte) (bool, error)) (bool, error) {
	if c != '[' {
		return false, f.skip(false)
	}
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	outer := f.hold
	for {
		c, err := f.element(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			break
		}
		at := len(f.out)
		if outer < 0 {
			f.hold = at
		}
		f.begin(l, members)
		leaves, err := each(f, c)
		if err != nil {
			return false, err
		}
		if !leaves {
			f.out = f.out[:at]
		} else {
			l.written++
		}
		f.hold = outer
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
func (f *filter) link(c byte) (bool, error) {
	if c != '{' || f.opt.Link == nil {
		return false, f.skip(false)
	}
	var cur cursor
	err := f.enter(&cur)
	if err != nil {
		return false, err
	}
	var relation, url string
	found := 0
	for {
		c, err := f.member(&cur)
		if err != nil {
			return false, err
		}
		if c == 0 {
			break
		}
		var into *string
		switch string(cur.name()) {
		case "relation":
			into = &relation
		case "url":
			into = &url
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
	if found < 2 {
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
