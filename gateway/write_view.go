package gateway

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
)

// subjects are whom a resource names, as the access log has them: each resource in the token that this
// client sees, each patient by the log's own keyed hash.
type subjects struct {
	of              *change
	names, patients []string
	named           map[string]bool
}

func (s *subjects) name(kind string, id []byte) error {
	a := s.of.ask
	name, err := a.seal.AppendToken(append([]byte(kind), '/'), kind, id)
	if err != nil {
		return err
	}
	if s.named[string(name)] {
		return nil
	}
	if s.named == nil {
		s.named = map[string]bool{}
	}
	s.named[string(name)] = true
	s.names = append(s.names, string(name))
	if kind == "Patient" {
		s.patients = append(s.patients, s.of.g.log.Patient(a.route.name, string(id)))
	}
	return nil
}

// viewer is a sink that keeps what the caller may be shown of one resource.
type viewer struct {
	about *subjects
	body  []byte
}

// Release keeps a window.
func (v *viewer) Release(w *transforms.Window) error {
	v.body = append(v.body, w.Body...)
	for kind, id := range w.Subjects.All() {
		if len(id) == 0 {
			continue // what is to be created has none yet
		}
		if err := v.about.name(kind, id); err != nil {
			return err
		}
	}
	return nil
}

// opener opens a client's tokens in what it writes. A call that is held to a patient names no other.
type opener struct{ *admission }

// Open returns the EHR's own id, or value, of a token.
func (o opener) Open(kind, token string) (string, error) {
	if strings.Contains(kind, ".") { // an element, not a type
		return o.seal.Open(kind, token)
	}
	id, ok := o.open(kind, token)
	if !ok || !fhir.ValidID(id) || kind == "Patient" && o.patient() != "" && id != o.patient() {
		return "", errUnopened
	}
	return id, nil
}

var errUnopened = errors.New("no id of this client's")

// keeps says whether an element leaves whole.
func (a *admission) keeps(path string) bool {
	return a.dec.Plan.Method(a.req.Type, path) == transforms.Keep
}

// maxResource is the longest resource, in bytes, that the filter holds; a write holds it too.
const maxResource = transforms.DefaultLookahead

// resourceOf reads one resource.
func resourceOf(body io.Reader) ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(body, maxResource+1))
	if err == nil && len(all) > maxResource {
		err = refusal("ehr-too-large")
	}
	return all, err
}

// versionOf is the entity tag by which the EHR knows a resource's version; empty where it names none, or
// two (FHIR R4, http.html, section 3.1.0.5: the tag is the version).
func versionOf(tag string, resource []byte) string {
	version := gjson.GetBytes(resource, "meta.versionId").String()
	switch {
	case tag == "" && fhir.ValidID(version):
		return `W/"` + version + `"`
	case version != "" && opaque(tag) != version:
		return ""
	}
	return tag
}

// element is all that a resource says at a path, with what its siblings say, place by place.
func element(resource []byte, path string) []byte {
	var all bytes.Buffer
	collect(gjson.ParseBytes(resource), path, &all)
	return all.Bytes()
}

func collect(v gjson.Result, path string, all *bytes.Buffer) {
	if v.IsArray() {
		v.ForEach(func(_, e gjson.Result) bool {
			collect(e, path, all)
			all.WriteByte(';')
			return true
		})
		return
	}
	head, rest, more := strings.Cut(path, ".")
	if more {
		collect(v.Get(head), rest, all)
		return
	}
	all.WriteString(v.Get(head).Raw + "," + v.Get("_"+head).Raw)
}
