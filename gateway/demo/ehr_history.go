package demo

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An event is one version in a history.
type event struct {
	of *resource
	*version
}

// history answers https://hl7.org/fhir/R4/http.html#history of one resource, of a
// type, or of all, newest first. A resource that was deleted still has one.
func (c *call) history(kind, id string) error {
	var all []event
	path := "_history"
	since, q, err := c.historyParameters()
	if err != nil {
		return err
	}
	add := func(r *resource) {
		for i := range r.versions {
			if v := &r.versions[i]; !v.updated.Before(since) {
				all = append(all, event{r, v})
			}
		}
	}
	switch {
	case id != "":
		path = kind + "/" + id + "/_history"
		r, known := c.store.find(kind + "/" + id)
		if !known {
			_, err := c.find(kind, id)
			return err
		}
		add(r)
	default:
		kinds := c.store.kinds
		if kind != "" {
			path, kinds = kind+"/_history", []string{kind}
		}
		for _, k := range kinds {
			if s := c.store.shelves[k]; s != nil {
				for _, r := range s.all {
					add(r)
				}
			}
		}
	}
	slices.Reverse(all) // of one instant, the later version first
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(b.updated.UnixNano(), a.updated.UnixNano()) })
	from := min(q.offset, len(all))
	to := min(from+q.count, len(all))
	b := c.bundle("history", len(all), true, q.pageLinks(c.base+"/"+path, len(all)))
	for _, e := range all[from:to] {
		status := map[string]string{http.MethodPost: "201 Created", http.MethodPut: "200 OK", http.MethodDelete: "204 No Content"}[e.method]
		target := e.of.reference()
		if e.method == http.MethodPost {
			target = e.of.kind
		}
		b.entry(e.of, e.body, obj("request", obj("method", e.method, "url", target),
			"response", obj("status", status, "etag", e.tag(), "lastModified", instant(e.updated))))
	}
	return b.close()
}

// historyParameters reads those of https://hl7.org/fhir/R4/http.html#history that it knows.
func (c *call) historyParameters() (since time.Time, q *query, err error) {
	q = &query{count: defaultCount, links: url.Values{}}
	for _, key := range sortedKeys(c.r.Form) {
		value := c.r.Form.Get(key)
		switch key {
		case "_count", "_offset", "_format", "_pretty":
			err = c.parameter(q, key, value)
		case "_since":
			if since, err = time.Parse(time.RFC3339, value); err != nil {
				err = badParameter(key, "an instant")
			}
		default:
			err = &failure{status: http.StatusBadRequest, code: "not-supported", text: fmt.Sprintf("a history has no parameter %q", key)}
		}
		if err != nil {
			return since, nil, err
		}
		if !strings.HasPrefix(key, "_o") && key != "_format" {
			q.links.Set(key, value)
		}
	}
	return since, q, nil
}
