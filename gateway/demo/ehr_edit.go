package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// firstID is the id of the first resource that is created.
const firstID = 500001

// An edit is a store on its way to its next state. It copies the shelves that it
// writes to, so that whoever reads the state before goes on reading it.
type edit struct {
	*store
	owned   map[string]bool
	written []*resource // as they are now
}

// change makes the next state of the EHR, or leaves it as it is where f, or what
// every state must keep to, says so.
func (e *EHR) change(f func(*edit) error) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	now := *e.state.Load()
	next := &edit{store: &now, owned: map[string]bool{}}
	next.shelves = maps.Clone(next.shelves)
	next.now = next.now.Add(time.Second)
	if err := f(next); err != nil {
		return err
	}
	if err := next.holds(); err != nil {
		return err
	}
	e.state.Store(next.store)
	return nil
}

// reserve promises an id.
func (s *edit) reserve(kind string) string {
	for {
		id := strconv.Itoa(s.next)
		s.next++
		if _, taken := s.find(kind + "/" + id); !taken {
			return id
		}
	}
}

// put writes a version: body is a resource as it was sent, nil to delete. What
// stands there by the same id becomes its older version.
func (s *edit) put(kind, id, method string, body []byte) (*resource, error) {
	before, known := s.find(kind + "/" + id)
	r := &resource{kind: kind, id: id}
	if known {
		r.versions, r.name = slices.Clone(before.versions), before.name
	}
	v := version{id: strconv.Itoa(len(r.versions) + 1), updated: s.now, method: method}
	if body != nil {
		var err error
		if v.body, err = stamped(body, kind, id, &v); err != nil {
			return nil, err
		}
		r.name = called(v.body)
	}
	r.versions = append(r.versions, v)

	if old := s.shelves[kind]; old != nil && !s.owned[kind] {
		s.shelves[kind] = &shelf{all: slices.Clone(old.all), byID: maps.Clone(old.byID), pointing: maps.Clone(old.pointing)}
	}
	s.owned[kind] = true
	shelf := s.own(kind)
	if known {
		shelf.replace(before, r)
	} else {
		shelf.add(r)
	}
	s.written = append(slices.DeleteFunc(s.written, func(o *resource) bool { return o == before }), r)
	return r, nil
}

func (s *shelf) replace(before, r *resource) {
	s.all[slices.Index(s.all, before)] = r
	s.byID[r.id] = r
	before.pointsTo(func(ref string) {
		s.pointing[ref] = slices.DeleteFunc(slices.Clone(s.pointing[ref]), func(o *resource) bool { return o == before })
	})
	r.pointsTo(func(ref string) { s.pointing[ref] = append(s.pointing[ref], r) })
}

// stamped is a resource as the EHR keeps it: with its id, version and time, and
// the rest as it was sent.
func stamped(body []byte, kind, id string, v *version) ([]byte, error) {
	var tight bytes.Buffer
	if err := json.Compact(&tight, body); err != nil {
		return nil, badBody("the body is not JSON")
	}
	doc := gjson.ParseBytes(tight.Bytes())
	out := appendValue(nil, obj("resourceType", kind, "id", id))
	out = append(out[:len(out)-1], `,"meta":{`...)
	out = append(out, appendValue(nil, obj("versionId", v.id, "lastUpdated", instant(v.updated)))[1:]...)
	out = out[:len(out)-1]
	doc.Get("meta").ForEach(func(key, value gjson.Result) bool {
		if key.Str != "versionId" && key.Str != "lastUpdated" {
			out = append(append(append(append(out, ','), key.Raw...), ':'), value.Raw...)
		}
		return true
	})
	out = append(out, '}')
	doc.ForEach(func(key, value gjson.Result) bool {
		if key.Str != "resourceType" && key.Str != "id" && key.Str != "meta" {
			out = append(append(append(append(out, ','), key.Raw...), ':'), value.Raw...)
		}
		return true
	})
	return append(out, '}'), nil
}

// called is how the error texts call a resource.
func called(body []byte) string {
	for _, path := range []string{"name.0.text", "name.0.family", "name", "description"} {
		if v := gjson.GetBytes(body, path); v.Type == gjson.String {
			return v.Str
		}
	}
	return gjson.GetBytes(body, "resourceType").Str + " " + gjson.GetBytes(body, "id").Str
}

// holds refuses a state in which a reference leads nowhere, as a server with
// referential integrity does.
func (s *edit) holds() error {
	for _, r := range s.written {
		if r.deleted() {
			for _, kind := range s.kinds {
				for _, other := range s.pointing(r.reference(), kind) {
					return &failure{http.StatusConflict, "conflict", r.reference() + " is referred to",
						fmt.Sprintf("by %s (%s)", other.reference(), other.name)}
				}
			}
			continue
		}
		var nowhere string
		r.pointsTo(func(ref string) {
			kind, id, local := strings.Cut(ref, "/")
			if _, ok := s.get(ref); !ok && local && parameters[kind] != nil {
				nowhere = kind + "/" + id
			}
		})
		if nowhere != "" {
			return &failure{http.StatusUnprocessableEntity, "not-found", "a reference leads nowhere", nowhere + " is not known, in " + r.name}
		}
	}
	return nil
}
