package transforms

// How a list that may be written is merged, with the list of its siblings with the underscore, which
// holds together with it by place (json.html#primitive).
//
// What the client sends of it as it sees it is what it was, wherever it stands now. What it sends
// instead takes the place of what stood there, unless the list became shorter, and what else it sends is
// new. What the client does not see of the list stays behind what it stood behind: elements of which
// nothing leaves, and what is hidden in one that the client removed.

// compared bounds how many elements are compared with each other.
const compared = 1 << 14

// places returns the elements of a list, place by place; null is nothing.
func places(p pair) []pair {
	all := make([]pair, 0, max(p.value.length(), p.sibling.length()))
	for i := range cap(all) {
		all = append(all, pair{p.value.at(i), p.sibling.at(i)})
	}
	return all
}

func (v *value) length() int {
	if v.isArray() {
		return len(v.kids)
	}
	return 0
}

// at returns an element of an array, or nil where it has none there, or null.
func (v *value) at(i int) *value {
	if i >= v.length() || v.kids[i].raw == "null" {
		return nil
	}
	return &v.kids[i]
}

// place returns where in the EHR's list an element of the view is, counted from 1.
func (p pair) place() int {
	if p.value != nil {
		return p.value.place
	}
	if p.sibling != nil {
		return p.sibling.place
	}
	return 0
}

// joined returns the list of such elements.
func joined(all []pair) pair {
	values, siblings := value{raw: "["}, value{raw: "["}
	add := func(to *value, v *value) {
		if v == nil {
			v = &value{raw: "null"}
		}
		to.kids = append(to.kids, v.named(""))
	}
	for _, p := range all {
		if !p.value.bare() || !p.sibling.bare() {
			add(&values, p.value)
			add(&siblings, p.sibling)
		}
	}
	var out pair
	if !values.bare() {
		out.value = &values
	}
	if !siblings.bare() {
		out.sibling = &siblings
	}
	return out
}

// list merges an array in an element that may be written, or one that is removed.
func (m *merger) list(w *writable, current, view, body pair) (pair, error) {
	is, was, sent := places(current), places(view), places(body)
	from, used, err := m.matches(was, sent)
	if err != nil {
		return pair{}, err
	}
	at := make([]int, len(was))      // where they are
	shown := make([]bool, len(is)+1) // whether it is one of them
	for i := range was {
		if at[i] = was[i].place() - 1; at[i] < 0 || at[i] >= len(is) {
			return pair{}, errPlace
		}
		shown[at[i]] = true
	}
	one := make([]pair, len(sent))
	for j := range sent {
		m.path = append(m.path, step{index: j})
		switch {
		case from[j] >= 0:
			one[j] = is[at[from[j]]]
		case len(sent) >= len(was) && j < len(was) && !used[j]:
			from[j], used[j] = j, true
			one[j], err = m.element(w, is[at[j]], was[j], sent[j])
		default:
			one[j], err = m.element(w, pair{}, pair{}, sent[j])
		}
		if err != nil {
			return pair{}, err
		}
		m.leave()
	}
	hidden := func(all []pair, from int) []pair {
		for ; from < len(is) && !shown[from]; from++ {
			all = append(all, is[from])
		}
		return all
	}
	first := hidden(nil, 0)
	behind := make([][]pair, len(was))
	last := &first
	for i := range was {
		if used[i] {
			last = &behind[i]
		} else {
			rest, err := m.element(w, is[at[i]], was[i], pair{})
			if err != nil {
				return pair{}, err
			}
			*last = append(*last, rest)
		}
		*last = hidden(*last, at[i]+1)
	}
	all := first
	for j := range one {
		if all = append(all, one[j]); from[j] >= 0 {
			all = append(all, behind[from[j]]...)
		}
	}
	out := joined(all)
	if out.value == nil && !current.value.isArray() {
		out.value = current.value
	}
	if out.sibling == nil && !current.sibling.isArray() {
		out.sibling = current.sibling
	}
	return out, nil
}

// matches finds which elements of the view are sent as they are seen: for each one sent, which it is, or
// -1; and for each one seen, whether it is there.
func (m *merger) matches(was, sent []pair) (from []int, used []bool, err error) {
	few := len(was)*len(sent) <= compared
	if !few && len(was) != len(sent) {
		return nil, nil, m.fail(ErrTooLong)
	}
	from, used = make([]int, len(sent)), make([]bool, len(was))
	match := func(j, i int) {
		if from[j] < 0 && !used[i] && m.same(was[i].value, sent[j].value) && m.same(was[i].sibling, sent[j].sibling) {
			from[j], used[i] = i, true
		}
	}
	for j := range sent {
		if from[j] = -1; j < len(was) {
			match(j, j)
		}
	}
	for j := range sent {
		for i := 0; few && i < len(was); i++ {
			match(j, i)
		}
	}
	return from, used, nil
}
