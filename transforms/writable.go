package transforms

import (
	"fmt"
	"slices"
	"strings"
)

// writable is an element that the dataset lets a client write, or one that such elements are below.
type writable struct {
	name   string
	path   string
	method Method // how it leaves, where it may be written: Keep, Token or Reference; else Remove
	kids   []*writable
}

func (w *writable) kid(name string) *writable {
	if w == nil {
		return nil
	}
	for _, k := range w.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// whole reports whether it is the element itself that may be written.
func (w *writable) whole() bool { return w.method != Remove }

// writables makes the tree of what can be written of a type, and finds what of it makes no sense.
func (ds *Dataset) writables(kind string) (*writable, []string) {
	var problems []string
	problem := func(path, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("write: %s: %q %s", kind, path, fmt.Sprintf(format, args...)))
	}
	rows := ds.Resources[kind]
	p := &Plan{dataset: ds, nodes: []*node{nil}}
	root := p.compile(&row{kind: kind}, rows, nil).root
	decides := decisions(rows)
	w := &writable{}
	for _, path := range ds.Write[kind] {
		names := strings.Split(path, ".")
		switch {
		case !isPath(path):
			problem(path, "is not an element path")
			continue
		case slices.Contains([]string{"id", "meta", "resourceType", "contained", "text"}, names[0]):
			problem(path, "is not a client's to write")
			continue
		}
		method := root.how(path)
		switch method {
		case Keep, Token, Reference:
		case Remove:
			problem(path, "does not always leave whole; what is written must leave by a row keep, token or reference")
			continue
		default:
			problem(path, "leaves by %s, so what a client sends back is not what is there", method)
			continue
		}
		if at := slices.IndexFunc(decides, func(d string) bool { return overlaps(d, path) }); at >= 0 {
			problem(path, "decides, or holds what decides (%s), how others leave; who could write it could have those shown", decides[at])
			continue
		}
		if !w.add(names, method) {
			problem(path, "is there already, or a part of another, or has parts that are there")
		}
	}
	return w, problems
}

// add adds an element that can be written; not one that is there, nor one below or above another.
func (w *writable) add(names []string, method Method) bool {
	for i, name := range names {
		k := w.kid(name)
		if k == nil {
			k = &writable{name: name, path: strings.Join(names[:i+1], ".")}
			w.kids = append(w.kids, k)
		} else if k.whole() || i == len(names)-1 {
			return false
		}
		w = k
	}
	w.method = method
	return true
}

// decisions are the paths of the elements that the rows' conditions ask for.
func decisions(rows map[string]Rule) []string {
	var all []string
	for path := range rows {
		steps, err := parsePath(path)
		if err != nil {
			continue // a problem of the row
		}
		at := ""
		for _, s := range steps {
			at = strings.TrimPrefix(at+"."+s.name, ".")
			for _, c := range s.conditions {
				all = append(all, at+"."+c.member)
			}
		}
	}
	slices.Sort(all)
	return all
}

// overlaps reports whether one path is the other, or leads to it.
func overlaps(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}
