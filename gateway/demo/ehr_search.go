package demo

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultCount = 20
	maximumCount = 10000
)

// A query is a search as it was understood.
type query struct {
	kind          string
	tests         []test
	candidates    []*resource
	count, offset int
	order         []sortKey
	total         bool
	summary       bool // _summary=count
	includes      []inclusion
	// links are the parameters that the Bundle's links repeat.
	links url.Values
}

// query reads the parameters of a search for kind.
func (c *call) query(kind string) (*query, error) {
	q := &query{kind: kind, count: defaultCount, total: true, candidates: c.store.live(kind), links: url.Values{}}
	for _, key := range sortedKeys(c.r.Form) {
		for _, value := range c.r.Form[key] {
			if err := c.parameter(q, key, value); err != nil {
				return nil, err
			}
			if key != "_offset" && key != "_format" {
				q.links.Add(key, value)
			}
		}
	}
	return q, nil
}

func sortedKeys(v url.Values) []string {
	var keys []string
	for k := range v {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (c *call) parameter(q *query, key, value string) error {
	var err error
	switch key {
	case "_format", "_pretty", "_type":
	case "_count":
		q.count, err = natural(key, value)
		q.count = min(q.count, maximumCount)
	case "_offset":
		q.offset, err = natural(key, value)
	case "_total":
		q.total = value != "none"
		if !slices.Contains([]string{"none", "estimate", "accurate"}, value) {
			err = badParameter(key, "none, estimate or accurate")
		}
	case "_summary":
		q.summary = value == "count"
		if value != "count" && value != "false" {
			err = badParameter(key, "count or false")
		}
	case "_sort":
		q.order, err = sortKeys(q.kind, value)
	case "_include", "_include:iterate", "_revinclude", "_revinclude:iterate":
		var i inclusion
		i, err = parseInclusion(key, value)
		q.includes = append(q.includes, i)
	default:
		var t test
		if t, err = c.criterion(q.kind, key, value); err == nil {
			q.tests = append(q.tests, t)
			q.narrow(c, key, value)
		}
	}
	return err
}

func natural(key, value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, badParameter(key, "a number from 0")
	}
	return n, nil
}

// narrow replaces the candidates by those that an index names, where one
// parameter asks for a single id or a single target.
func (q *query) narrow(c *call, key, value string) {
	if strings.ContainsAny(value, `,\`) {
		return
	}
	if key == "_id" {
		q.candidates = slices.DeleteFunc(slices.Clone(q.candidates), func(r *resource) bool { return r.id != value })
		return
	}
	p, ok := parameter(q.kind, key)
	if !ok || p.kind != paramReference {
		return
	}
	value = strings.TrimPrefix(value, c.base+"/")
	if !strings.Contains(value, "/") {
		if p.target == "" {
			return
		}
		value = p.target + "/" + value
	}
	if pointing := c.store.pointing(value, q.kind); len(pointing) < len(q.candidates) {
		q.candidates = pointing
	}
}

// matches are those of a search for kind that also pass the condition (nil for
// none).
func (c *call) matches(kind string, condition test) ([]*resource, *query, error) {
	q, err := c.query(kind)
	if err != nil {
		return nil, nil, err
	}
	if condition != nil {
		q.tests = append(q.tests, condition)
	}
	var matches []*resource
candidates:
	for _, r := range q.candidates {
		for _, t := range q.tests {
			if !t(r) {
				continue candidates
			}
		}
		matches = append(matches, r)
	}
	sortBy(matches, q.order)
	return matches, q, nil
}

// search answers them. path is where the links lead.
func (c *call) search(kind string, condition test, path string) error {
	matches, q, err := c.matches(kind, condition)
	if err != nil {
		return err
	}
	return c.page(q, matches, path)
}

// across searches the types that _type names, each by the same parameters.
func (c *call) across(condition test, path string) error {
	var of *query
	var all []*resource
	for kind := range strings.SplitSeq(c.r.Form.Get("_type"), ",") {
		if parameters[kind] == nil {
			return badParameter("_type", "resource types")
		}
		matches, q, err := c.matches(kind, condition)
		if err != nil {
			return err
		}
		of, all = q, append(all, matches...)
	}
	sortBy(all, of.order)
	return c.page(of, all, path)
}
