package transforms

import "bytes"

// Parameters (parameters.html) have a built-in row: a parameter leaves with its name and the
// resource that it holds, which is filtered by the row of its type; or with its parts, each a
// parameter again. A dataset can add rows of values (parameter.valueString), which are those of the
// parts too. A parameter of which nothing but the name would leave does not.

// grown makes the nodes of the built-in row.
func growParameters(root *node) {
	p := root.grow("parameter", false)
	p.role = parameterRole
	name := p.grow("name", false)
	name.method, name.role = Keep, nameRole
	p.grow("resource", false).role = resourceRole
	p.grow("part", false).role = parameterRole
}

// loopParameters has the parts be parameters again, once the nodes are sealed.
func loopParameters(root *node) {
	p := root.kid("parameter")
	part := p.kid("part")
	part.kids, part.table, part.shift, part.mul = p.kids, p.table, p.shift, p.mul
}

func (f *filter) parameters(n *node, c byte) (bool, error) {
	if c == '[' {
		return f.elements(n, (*filter).parameter)
	}
	return f.parameter(n, c)
}

// parameter filters the parameter at r.
func (f *filter) parameter(n *node, c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	at := len(f.out)
	f.out = append(f.out, '{')
	written, err := f.members(n, nil, nil)
	f.out = append(f.out, '}')
	return written > 1 || written == 1 && !bytes.HasPrefix(f.out[at+1:], []byte(`"name":`)), err
}

// parameterResource filters the resource at r, of a parameter.
func (f *filter) parameterResource(c byte) (bool, error) {
	if c != '{' {
		return false, f.skip(false)
	}
	outer := f.aside()
	r, err := f.inner()
	f.resume(outer)
	return r != nil, err
}
