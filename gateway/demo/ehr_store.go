package demo

import (
	"bytes"
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
	body    []byte
}

// A resource is what the sandbox holds under one type and id; its newest version
// is the last.
type resource struct {
	kind, id string
	versions []version
	deleted  bool
	// name is how the error texts of this careless EHR call it.
	name string
}

func (r *resource) current() *version { return &r.versions[len(r.versions)-1] }

// reference is the resource's relative reference, "Patient/1".
func (r *resource) reference() string { return r.kind + "/" + r.id }

// A store is filled once, when the sandbox is generated, and then only read.
type store struct {
	kinds  []string
	byKind map[string][]*resource
	byRef  map[string]*resource
	// pointing lists, for a reference, the resources of each type that hold it
	// anywhere.
	pointing map[string]map[string][]*resource
}

func newStore() *store {
	return &store{byKind: map[string][]*resource{}, byRef: map[string]*resource{}, pointing: map[string]map[string][]*resource{}}
}

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
	r := &resource{kind: d.kind, id: d.id, name: d.name, deleted: d.deleted}
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
		r.versions = append(r.versions, version{strconv.Itoa(v), updated, appendValue(nil, body)})
	}
	if _, ok := s.byKind[d.kind]; !ok {
		s.kinds = append(s.kinds, d.kind)
	}
	s.byKind[d.kind] = append(s.byKind[d.kind], r)
	s.byRef[r.reference()] = r
}

// index fills pointing, once everything is put.
func (s *store) index() {
	for _, kind := range s.kinds {
		for _, r := range s.live(kind) {
			seen := map[string]bool{}
			references(gjson.ParseBytes(r.current().body), func(ref string) {
				if seen[ref] {
					return
				}
				seen[ref] = true
				if s.pointing[ref] == nil {
					s.pointing[ref] = map[string][]*resource{}
				}
				s.pointing[ref][kind] = append(s.pointing[ref][kind], r)
			})
		}
	}
}

// live lists the resources of a type that are not deleted, in their own order.
func (s *store) live(kind string) []*resource {
	all := s.byKind[kind]
	for i, r := range all {
		if r.deleted {
			out := append([]*resource(nil), all[:i]...)
			for _, r := range all[i+1:] {
				if !r.deleted {
					out = append(out, r)
				}
			}
			return out
		}
	}
	return all
}

// get returns a resource that is there and not deleted.
func (s *store) get(reference string) (*resource, bool) {
	r, ok := s.byRef[reference]
	return r, ok && !r.deleted
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
