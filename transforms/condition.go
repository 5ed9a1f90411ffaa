package transforms

// Elements whose rows have conditions. Their node has a variant for each way in which the
// conditions can be met; an object is filtered by the one that its own members tell, which are
// looked for before it is filtered, since they may stand behind what they decide on.

// question is a member that the rows' conditions ask for.
type question struct {
	member  string
	answers map[string]int // what each value adds to the variant's index; any other adds nothing
	weight  int
}

// conditioned filters the value at r of an element with conditions. What is no object meets none.
func (f *filter) conditioned(n *node, c byte) (bool, error) {
	if c == '[' {
		return f.elements(n, (*filter).variant)
	}
	return f.variant(n, c)
}

func (f *filter) variant(n *node, c byte) (bool, error) {
	switch c {
	case '[': // FHIR has no lists of lists
		return false, f.skip(false)
	case '{':
		v, err := f.choose(n)
		if err != nil {
			return false, err
		}
		return f.byMethod(v, c)
	}
	return f.value(n.variants[0], c)
}

// widened filters the value at r of an element that a kept one leaves out but where a condition
// is met.
func (f *filter) widened(in inside, n *node, c byte) (bool, error) {
	if c != '[' {
		return f.widenedOne(in, n, c)
	}
	return f.elements(n, func(f *filter, n *node, c byte) (bool, error) { return f.widenedOne(in, n, c) })
}

func (f *filter) widenedOne(in inside, n *node, c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	v, err := f.choose(n)
	if err != nil {
		return false, err
	}
	if !v.leaf() {
		return false, f.skip(false)
	}
	in.allow |= v.allow
	return f.kept(in, v, c, false)
}

// choose returns the variant for the object at r, and leaves r there.
func (f *filter) choose(n *node) (*node, error) {
	if f.depth == MaxDepth {
		return nil, f.fail(ErrDepth)
	}
	f.depth++
	f.steps[f.depth] = step{index: -1}
	f.pin = f.r
	f.r++
	index, asked := 0, len(n.questions)
	for asked > 0 {
		c, err := f.peek()
		if err != nil {
			return nil, f.need(err)
		}
		if c == '}' {
			break
		}
		if c != '"' {
			return nil, f.fail(ErrSyntax)
		}
		name, err := f.text()
		if err != nil {
			return nil, err
		}
		q := n.asks(name)
		if c, err = f.colon(); err != nil {
			return nil, err
		}
		if q == nil || c != '"' {
			err = f.skip(true)
		} else {
			var text []byte
			text, err = f.text()
			index += q.answers[string(text)]
		}
		if err != nil {
			return nil, err
		}
		if q != nil {
			asked--
		}
		if c, err = f.peek(); err != nil {
			return nil, f.need(err)
		}
		if c == ',' {
			f.r++
		} else if c != '}' {
			return nil, f.fail(ErrSyntax)
		}
	}
	if f.pinned() > f.opt.Lookahead {
		return nil, f.fail(ErrLookahead)
	}
	f.depth--
	if err := f.back(); err != nil {
		return nil, err
	}
	// A member that is there twice is refused when the object is filtered.
	return n.variants[min(index, len(n.variants)-1)], nil
}

func (n *node) asks(name []byte) *question {
	for i := range n.questions {
		if q := &n.questions[i]; q.member == string(name) {
			return q
		}
	}
	return nil
}
