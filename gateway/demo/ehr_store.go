package demo

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// basePlaceholder stands in stored bodies where the EHR names itself by an
// absolute URL. The port, and so the base, is known only when it listens.
const basePlaceholder = "{{base}}"

// A version is one state of a resource.
type version struct {
	id      string
	updated time.Time
	body    []byte // nil: it was deleted
	method  string // that made it: POST, PUT or DELETE
}

// A resource is what the sandbox holds under one type and id; its newest version
// is the last. It never changes: who writes puts another in its place.
type resource struct {
	kind, id string
	versions []version
	// name is how the error texts of this careless EHR call it.
	name string
}

func (r *resource) current() *version { return &r.versions[len(r.versions)-1] }

func (r *resource) deleted() bool { return r.current().body == nil }

// reference is the resource's relative reference, "Patient/1".
func (r *resource) reference() string { return r.kind + "/" + r.id }

// A shelf holds the resources of one type.
type shelf struct {
	all  []*resource // those deleted, too
	byID map[string]*resource
	// pointing lists, for a reference, the resources that hold it anywhere.
	pointing map[string][]*resource
}

// A store is all that the sandbox holds at one time. It never changes once it is
// served from, so that a search sees one state however long it takes.
type store struct {
	kinds   []string
	shelves map[string]*shelf
	now     time.Time // of the newest write; Reference where there was none
	next    int       // what the id of the next resource is counted from

	altered func(kind, id string, body []byte) []byte // of what is generated; nil: as it is
}

func newStore() *store { return &store{shelves: map[string]*shelf{}, now: Reference(), next: firstID} }

// A draft is a resource before it has bytes.
type draft struct {
	kind, id string
	name     string
	updated  time.Time
	// versions is how many there are; the older differ from the newest only in
	// their meta.
	versions int
	// restricted marks it with the confidentiality code R.
	restricted bool
	profile    string
	body       object
	deleted    bool
}

func (s *store) put(d draft) {
	r := &resource{kind: d.kind, id: d.id, name: d.name}
	for v := 1; v <= max(d.versions, 1); v++ {
		updated := d.updated.Add(time.Duration(v-max(d.versions, 1)) * 31 * time.Hour)
		meta := obj("versionId", strconv.Itoa(v), "lastUpdated", instant(updated))
		if d.profile != "" {
			meta = meta.with("profile", array{d.profile})
		}
		if d.restricted {
			meta = meta.with("security", array{coding("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R", "restricted")})
		}
		body := obj("resourceType", d.kind, "id", d.id, "meta", meta)
		body = append(body, d.body...)
		method := http.MethodPut
		if v == 1 {
			method = http.MethodPost
		}
		written := appendValue(nil, body)
		if s.altered != nil {
			written = s.altered(d.kind, d.id, written)
		}
		r.versions = append(r.versions, version{strconv.Itoa(v), updated, written, method})
	}
	if d.deleted {
		r.versions = append(r.versions, version{strconv.Itoa(len(r.versions) + 1), d.updated, nil, http.MethodDelete})
	}
	s.own(d.kind).add(r)
}

// own returns the shelf of a type, a new one where there is none.
func (s *store) own(kind string) *shelf {
	if s.shelves[kind] == nil {
		s.kinds = append(s.kinds, kind)
		s.shelves[kind] = &shelf{byID: map[string]*resource{}, pointing: map[string][]*resource{}}
	}
	return s.shelves[kind]
}

func (s *shelf) add(r *resource) {
	s.all = append(s.all, r)
	s.byID[r.id] = r
	r.pointsTo(func(ref string) { s.pointing[ref] = append(s.pointing[ref], r) })
}

// pointsTo calls f once with every reference that a resource holds now.
func (r *resource) pointsTo(f func(reference string)) {
	seen := map[string]bool{}
	references(gjson.ParseBytes(r.current().body), func(ref string) {
		if !seen[ref] {
			seen[ref] = true
			f(ref)
		}
	})
}

// live lists the resources of a type that are not deleted, in their own order.
func (s *store) live(kind string) []*resource {
	if s.shelves[kind] == nil {
		return nil
	}
	all := s.shelves[kind].all
	if !slices.ContainsFunc(all, (*resource).deleted) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), (*resource).deleted)
}

// find returns a resource that is there or was.
func (s *store) find(reference string) (*resource, bool) {
	kind, id, _ := strings.Cut(reference, "/")
	if s.shelves[kind] == nil {
		return nil, false
	}
	r, ok := s.shelves[kind].byID[id]
	return r, ok
}

// get returns a resource that is there and not deleted.
func (s *store) get(reference string) (*resource, bool) {
	r, ok := s.find(reference)
	return r, ok && !r.deleted()
}

// pointing lists the resources of a type that hold a reference anywhere.
func (s *store) pointing(reference, kind string) []*resource {
	if s.shelves[kind] == nil {
		return nil
	}
	return s.shelves[kind].pointing[reference]
}

// references calls f with every literal reference below v, made relative.
func references(v gjson.Result, f func(string)) {
	v.ForEach(func(key, value gjson.Result) bool {
		switch {
		case value.IsObject() || value.IsArray():
			references(value, f)
		case key.Str == "reference":
			f(relative(value.Str))
		}
		return true
	})
}

// relative strips the sandbox's own base and a version from a reference.
func relative(reference string) string {
	reference = strings.TrimPrefix(reference, basePlaceholder+"/")
	reference, _, _ = strings.Cut(reference, "/_history/")
	return reference
}

// rebase writes base where a body names the EHR itself.
func rebase(body []byte, base string) []byte {
	if !bytes.Contains(body, []byte(basePlaceholder)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(basePlaceholder), []byte(base))
}
