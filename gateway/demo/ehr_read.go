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
		c.w.Header().Set("Allow", "GET, HEAD")
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
	r, ok := c.ehr.store.byRef[kind+"/"+id]
	if !ok {
		all := c.ehr.store.live(kind)
		near := all[len(id)%len(all)]
		return nil, &failure{http.StatusNotFound, "not-found", fmt.Sprintf("%s/%s is not known", kind, id),
			fmt.Sprintf("nearest in index: %s (%s)", near.reference(), near.name)}
	}
	if r.deleted {
		return nil, &failure{http.StatusGone, "deleted", fmt.Sprintf("%s/%s was deleted", kind, id),
			fmt.Sprintf("was %s, deleted on %s", r.name, r.current().updated.Format("2 January 2006"))}
	}
	return r, nil
}

func (c *call) read(kind, id, wanted string) error {
	r, err := c.find(kind, id)
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
		v = &r.versions[i]
	}
	if err := c.onlyResultParameters(); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("ETag", `W/"`+v.id+`"`)
	h.Set("Last-Modified", v.updated.Format(http.TimeFormat))
	h.Set("Content-Location", c.base+"/"+r.reference()+"/_history/"+v.id)
	if c.r.Header.Get("If-None-Match") == h.Get("ETag") {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	c.write(http.StatusOK, rebase(v.body, c.base))
	return nil
}

func (c *call) onlyResultParameters() error {
	for name := range c.r.Form {
		if name != "_format" && name != "_pretty" {
			return &failure{status: http.StatusBadRequest, code: "not-supported", text: fmt.Sprintf("a read has no parameter %q", name)}
		}
	}
	return nil
}

// history answers https://hl7.org/fhir/R4/http.html#history of one resource,
// newest first.
func (c *call) history(kind, id string) error {
	r, err := c.find(kind, id)
	if err != nil {
		return err
	}
	b := c.bundle("history", len(r.versions), true, []link{{"self", c.base + "/" + r.reference() + "/_history"}})
	for i := len(r.versions) - 1; i >= 0; i-- {
		v := &r.versions[i]
		method := "PUT"
		if i == 0 {
			method = "POST"
		}
		b.entry(r, v.body, obj("request", obj("method", method, "url", r.reference()),
			"response", obj("status", "200", "etag", `W/"`+v.id+`"`, "lastModified", instant(v.updated))))
	}
	return b.close()
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
