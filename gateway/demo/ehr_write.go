package demo

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// maximumBody bounds what a client may send.
const maximumBody = 16 << 20

func badBody(text string) error {
	return &failure{status: http.StatusBadRequest, code: "invalid", text: text}
}

// change answers create, update and delete
// (https://hl7.org/fhir/R4/http.html#create, #update, #delete).
func (c *call) change(s []string) error {
	switch {
	case parameters[s[0]] == nil:
		return unknownType(s[0])
	case c.r.Method == http.MethodPost && len(s) == 1:
		return c.create(s[0])
	case c.r.Method == http.MethodPut && len(s) == 2:
		return c.update(s[0], s[1])
	case c.r.Method == http.MethodDelete && len(s) == 2:
		return c.remove(s[0], s[1])
	}
	return &failure{status: http.StatusMethodNotAllowed, code: "not-supported", text: "no such interaction: " + c.r.Method + " " + strings.Join(s, "/")}
}

// edits makes a change of its own, or one of the transaction's.
func (c *call) edits(f func(*edit) error) error {
	if c.edit != nil {
		return f(c.edit)
	}
	return c.ehr.change(func(s *edit) error {
		c.store = s.store // what a condition looks at
		return f(s)
	})
}

func (c *call) create(kind string) error {
	body, err := c.resource(kind)
	if err != nil {
		return err
	}
	var r *resource
	status := http.StatusCreated
	err = c.edits(func(s *edit) error {
		found, err := c.existing(kind)
		if err != nil {
			return err
		}
		if found != nil {
			r, status = found, http.StatusOK
			return nil
		}
		id := c.assign
		if id == "" {
			id = s.reserve(kind)
		}
		r, err = s.put(kind, id, http.MethodPost, body)
		return err
	})
	if err != nil {
		return err
	}
	return c.written(r, status)
}

// existing is the one resource that If-None-Exist finds, where it finds one.
func (c *call) existing(kind string) (*resource, error) {
	condition := c.r.Header.Get("If-None-Exist")
	if condition == "" {
		return nil, nil
	}
	form, err := url.ParseQuery(strings.TrimPrefix(condition, "?"))
	if err != nil || len(form) == 0 {
		return nil, badBody("malformed If-None-Exist")
	}
	asks := &call{ehr: c.ehr, base: c.base, store: c.store, r: &http.Request{Form: form}}
	found, _, err := asks.matches(kind, nil)
	switch {
	case err != nil:
		return nil, err
	case len(found) > 1:
		return nil, &failure{http.StatusPreconditionFailed, "multiple-matches", "If-None-Exist finds several",
			fmt.Sprintf("%s (%s), %s (%s)", found[0].reference(), found[0].name, found[1].reference(), found[1].name)}
	case len(found) == 1:
		return found[0], nil
	}
	return nil, nil
}

// update creates what is not there, as many servers do.
func (c *call) update(kind, id string) error {
	body, err := c.resource(kind)
	if err != nil {
		return err
	}
	if gjson.GetBytes(body, "id").Str != id || !validID(id) {
		return badBody("the body has no id, or not the one of the address")
	}
	var r *resource
	status := http.StatusOK
	err = c.edits(func(s *edit) error {
		before, known := s.find(kind + "/" + id)
		if err := c.expects(before); err != nil {
			return err
		}
		if !known || before.deleted() {
			status = http.StatusCreated
		}
		r, err = s.put(kind, id, http.MethodPut, body)
		return err
	})
	if err != nil {
		return err
	}
	return c.written(r, status)
}

// validID follows https://hl7.org/fhir/R4/datatypes.html#id.
func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func (c *call) remove(kind, id string) error {
	err := c.edits(func(s *edit) error {
		before, err := c.find(kind, id)
		if err != nil {
			if f := (*failure)(nil); errors.As(err, &f) && f.status == http.StatusGone {
				return nil // it is what was wished for
			}
			return err
		}
		if err := c.expects(before); err != nil {
			return err
		}
		_, err = s.put(kind, id, http.MethodDelete, nil)
		return err
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// expects holds a write to the version that it was meant for
// (https://hl7.org/fhir/R4/http.html#concurrency).
func (c *call) expects(r *resource) error {
	wanted := c.r.Header.Get("If-Match")
	if wanted == "" || r != nil && !r.deleted() && strings.TrimPrefix(wanted, "W/") == strings.TrimPrefix(r.current().tag(), "W/") {
		return nil
	}
	f := &failure{status: http.StatusPreconditionFailed, code: "conflict", text: "it has changed"}
	if r != nil {
		f.diagnostics = fmt.Sprintf("%s (%s) is at version %s", r.reference(), r.name, r.current().id)
	}
	return f
}

// resource reads the body of a write.
func (c *call) resource(kind string) ([]byte, error) {
	if declared, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil ||
		!slices.Contains([]string{"application/fhir+json", "application/json"}, declared) ||
		params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, &failure{status: http.StatusUnsupportedMediaType, code: "not-supported", text: "this server reads application/fhir+json alone"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maximumBody))
	if err != nil {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: "too-long", text: "the body is too long, or ended early"}
	}
	if !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return nil, badBody("the body is not a JSON object")
	}
	if is := gjson.GetBytes(body, "resourceType").Str; is != kind {
		return nil, &failure{status: http.StatusBadRequest, code: "invalid", text: fmt.Sprintf("the body is a %q, not a %s", is, kind)}
	}
	return []byte(strings.ReplaceAll(string(body), c.base+"/", basePlaceholder+"/")), nil
}

// written answers a create or an update as the client prefers
// (https://hl7.org/fhir/R4/http.html#ops).
func (c *call) written(r *resource, status int) error {
	v := r.current()
	h := c.w.Header()
	h.Set("ETag", v.tag())
	h.Set("Last-Modified", v.updated.Format(http.TimeFormat))
	h.Set("Location", c.base+"/"+r.reference()+"/_history/"+v.id)
	prefer := c.r.Header.Get("Prefer")
	switch {
	case strings.Contains(prefer, "return=minimal"):
		c.w.WriteHeader(status)
	case strings.Contains(prefer, "return=OperationOutcome"):
		c.write(status, appendValue(nil, obj("resourceType", "OperationOutcome",
			"issue", array{obj("severity", "information", "code", "informational", "diagnostics", "saved "+r.reference()+" of "+r.name)})))
	default:
		c.write(status, rebase(v.body, c.base))
	}
	return nil
}
