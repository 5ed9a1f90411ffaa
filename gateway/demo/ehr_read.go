package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

const fhirJSON = "application/fhir+json; charset=utf-8"

// A failure is an answer other than the one asked for, as an OperationOutcome.
type failure struct {
	status      int
	code        string // of IssueType
	text        string
	diagnostics string
}

func (f *failure) Error() string { return f.text }

func unknownParameter(kind, name string) error {
	return &failure{status: http.StatusBadRequest, code: "not-supported", text: fmt.Sprintf("%s has no search parameter %q", kind, name)}
}

func badParameter(name, want string) error {
	return &failure{status: http.StatusBadRequest, code: "value", text: fmt.Sprintf("search parameter %q wants %s", name, want)}
}

func (c *call) refuse(err error) {
	f := &failure{status: http.StatusInternalServerError, code: "exception", text: err.Error()}
	errors.As(err, &f)
	if f.status == http.StatusMethodNotAllowed {
		c.w.Header().Set("Allow", "GET, HEAD, POST, PUT, DELETE")
	}
	c.write(f.status, appendValue(nil, f.outcome()))
}

func (f *failure) outcome() object {
	return obj("resourceType", "OperationOutcome", "text", narrative("<p>%s</p>", f.text),
		"issue", array{obj("severity", "error", "code", f.code, "details", obj("text", f.text), "diagnostics", f.diagnostics)})
}

// find looks a resource up. Like many servers it is helpful to a fault: its
// diagnostics name other patients, and those who were deleted.
func (c *call) find(kind, id string) (*resource, error) {
	r, ok := c.store.find(kind + "/" + id)
	if !ok {
		f := &failure{status: http.StatusNotFound, code: "not-found", text: fmt.Sprintf("%s/%s is not known", kind, id)}
		if all := c.store.live(kind); len(all) > 0 {
			near := all[len(id)%len(all)]
			f.diagnostics = fmt.Sprintf("nearest in index: %s (%s)", near.reference(), near.name)
		}
		return nil, f
	}
	if r.deleted() {
		return nil, gone(r)
	}
	return r, nil
}

func gone(r *resource) error {
	return &failure{http.StatusGone, "deleted", r.reference() + " was deleted",
		fmt.Sprintf("was %s, deleted on %s", r.name, r.current().updated.Format("2 January 2006"))}
}

// read answers what a resource is now, or was: a version of one that is deleted
// can still be read, as at many servers.
func (c *call) read(kind, id, wanted string) error {
	r, err := c.find(kind, id)
	if known, ok := c.store.find(kind + "/" + id); ok && wanted != "" {
		r, err = known, nil
	}
	if err != nil {
		return err
	}
	v := r.current()
	if wanted != "" {
		i := slices.IndexFunc(r.versions, func(v version) bool { return v.id == wanted })
		if i < 0 {
			return &failure{http.StatusNotFound, "not-found", fmt.Sprintf("%s/%s has no version %s", kind, id, wanted),
				fmt.Sprintf("%s has %d versions", r.name, len(r.versions))}
		}
		if v = &r.versions[i]; v.body == nil {
			return gone(r)
		}
	}
	if err := c.onlyResultParameters(); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("ETag", v.tag())
	h.Set("Last-Modified", v.updated.Format(http.TimeFormat))
	h.Set("Content-Location", c.base+"/"+r.reference()+"/_history/"+v.id)
	if c.r.Header.Get("If-None-Match") == v.tag() {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.write(http.StatusOK, rebase(v.body, c.base))
	return nil
}

// tag is the version as an entity tag (https://hl7.org/fhir/R4/http.html#concurrency).
func (v *version) tag() string { return `W/"` + v.id + `"` }

func (c *call) onlyResultParameters() error {
	for name := range c.r.Form {
		if name != "_format" && name != "_pretty" {
			return &failure{status: http.StatusBadRequest, code: "not-supported", text: fmt.Sprintf("a read has no parameter %q", name)}
		}
	}
	return nil
}

// write answers with one document.
func (c *call) write(status int, body []byte) {
	if c.pretty {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	h := c.w.Header()
	h.Set("Content-Type", fhirJSON)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	c.w.Write(body) // the client is gone where this fails
}
