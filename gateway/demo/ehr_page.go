package demo

import (
	"net/url"
	"strconv"
)

func (c *call) page(q *query, matches []*resource, path string) error {
	if q.summary {
		q.count = 0
	}
	from := min(q.offset, len(matches))
	to := min(from+q.count, len(matches))
	b := c.bundle("searchset", len(matches), q.total, q.pageLinks(c.base+"/"+path, len(matches)))
	for _, r := range matches[from:to] {
		b.entry(r, r.current().body, obj("search", obj("mode", "match")))
	}
	for _, r := range c.included(q.includes, matches[from:to]) {
		b.entry(r, r.current().body, obj("search", obj("mode", "include")))
	}
	return b.close()
}

// pageLinks lead to the other pages; none but self where a page is empty by wish.
func (q *query) pageLinks(path string, total int) []link {
	at := func(offset int) string {
		v := url.Values{}
		for key, values := range q.links {
			v[key] = values
		}
		if offset > 0 {
			v.Set("_offset", strconv.Itoa(offset))
		}
		if len(v) == 0 {
			return path
		}
		return path + "?" + v.Encode()
	}
	links := []link{{"self", at(q.offset)}}
	if q.count == 0 {
		return links
	}
	last := max(0, (total-1)/q.count*q.count)
	links = append(links, link{"first", at(0)})
	if q.offset+q.count < total {
		links = append(links, link{"next", at(q.offset + q.count)})
	}
	if q.offset > 0 {
		links = append(links, link{"previous", at(max(0, q.offset-q.count))})
	}
	return append(links, link{"last", at(last)})
}
