package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// told is what a client is told of a write: its status, header and body, and whom that names.
type told struct {
	Status   int               `json:"status"`
	Header   map[string]string `json:"header"`
	Body     []byte            `json:"body,omitempty"`
	Subjects []string          `json:"subjects,omitempty"`
	Patients []string          `json:"patients,omitempty"`
	Written  []string          `json:"written,omitempty"`
}

// represents says whether the client is answered with the resource.
func (w *change) represents() bool {
	return w.shows && (w.ask.req.Return == "" || w.ask.req.Return == "representation")
}

// reply answers the client: with the resource as it is now, filtered like a read, or with no more than what
// became of it. resp is nil where what a create was to make is there already.
func (w *change) reply(ctx context.Context, resp *upstream.Response) error {
	req := w.ask.req
	t := &told{Status: http.StatusOK, Header: map[string]string{}, Written: w.rec.Written}
	var body []byte
	var err error
	if resp != nil {
		if body, err = resourceOf(resp.Body); err != nil {
			return err
		}
		if req.Interaction == fhir.Create {
			if w.id, err = w.made(resp, body); err != nil {
				return err
			}
			if resp.Status == http.StatusCreated {
				t.Status = http.StatusCreated
			}
		}
	}
	if gjson.GetBytes(body, "resourceType").String() == "OperationOutcome" {
		body = nil // some servers prefer it
	}
	tag, modified := "", ""
	if resp != nil {
		tag, modified = resp.ETag, resp.LastModified
	}
	if w.represents() && len(body) == 0 { // the EHR said nothing of it, or nothing was written
		q := w.query()
		read, err := q.send(ctx, w.call, req.Type+"/"+w.id, "")
		if err != nil {
			return err
		}
		defer read.Body.Close()
		if body, err = resourceOf(read.Body); err != nil {
			return err
		}
		tag, modified = read.ETag, read.LastModified
	}
	about := subjects{of: w}
	switch {
	case req.Interaction == fhir.Delete:
		t.Status = http.StatusNoContent
		about = w.about
	case w.represents():
		if t.Body, err = w.view(body, &about); err != nil {
			return err
		}
	default:
		err = about.name(req.Type, []byte(w.id))
	}
	if err != nil {
		return err
	}
	if err := w.head(t, versionOf(tag, body), modified); err != nil {
		return err
	}
	if req.Return == "OperationOutcome" && t.Body == nil && req.Interaction != fhir.Delete {
		t.Body = fhir.AppendOutcome(nil, fhir.Outcome{
			Issues:      []fhir.Issue{{Severity: "information", Code: "informational", Text: "The EHR has carried out this change."}},
			Correlation: w.ids.correlation,
		})
	}
	t.Subjects, t.Patients = about.names, about.patients
	return w.hand(t)
}

// made is the id of what was created: the one that the EHR's answer has, or the address that it gives.
func (w *change) made(resp *upstream.Response, body []byte) (string, error) {
	kind := w.ask.req.Type
	path, _, ok := w.query().below(resp.Location)
	if !ok {
		path = resp.Location // it may be relative (RFC 9110, section 10.2.2)
	}
	path, _, _ = strings.Cut(path, "/_history/")
	located, ok := strings.CutPrefix(strings.TrimPrefix(path, "/"), kind+"/")
	if !ok || !fhir.ValidID(located) {
		located = ""
	}
	said := ""
	if gjson.GetBytes(body, "resourceType").String() == kind {
		said = gjson.GetBytes(body, "id").String()
	}
	switch {
	case said == "":
		said = located
	case located != "" && located != said:
		said = ""
	}
	if !fhir.ValidID(said) {
		return "", refusal("ehr-invalid")
	}
	return said, nil
}

// head is what the header of an answer says of a resource: where a new one is, and of its version what the dataset
// keeps.
func (w *change) head(t *told, tag, modified string) error {
	a := w.ask
	version := ""
	if tag != "" && a.keeps("meta.versionId") {
		version = opaque(tag)
		t.Header["ETag"] = `W/"` + version + `"`
	}
	if modified != "" && a.keeps("meta.lastUpdated") {
		t.Header["Last-Modified"] = modified
	}
	if a.req.Interaction != fhir.Create {
		return nil
	}
	url := a.route.bases[0] + "/" + a.req.Type + "/" + w.id
	if version != "" && fhir.ValidID(version) {
		url += "/_history/" + version
	}
	o := w.filter(w.query())
	location, ok := o.Address(nil, url)
	if !ok {
		return refusal("vault-unavailable")
	}
	t.Header["Location"] = string(location)
	return nil
}

// hand records what the client is told, and then tells it.
func (w *change) hand(t *told) error {
	if err := w.tell(t.Patients); err != nil {
		return err
	}
	w.rec.Kind, w.rec.Status, w.rec.Code = accesslog.KindAccess, t.Status, ""
	w.rec.Subjects, w.rec.Patients, w.rec.Written = t.Subjects, t.Patients, t.Written
	if t.Body == nil {
		w.rec.Totals = nil
	}
	if err := w.commit(); err != nil {
		return err
	}
	w.told, w.released = t, true
	if err := w.await(0); err != nil {
		return err
	}
	h := w.w.Header()
	w.headers(h)
	if t.Body == nil {
		h.Del("Content-Type")
	}
	for name, value := range t.Header {
		h.Set(name, value)
	}
	if t.Status == http.StatusNoContent {
		w.w.WriteHeader(t.Status)
		return nil
	}
	defer w.letGo()
	w.encode(h, len(t.Body))
	w.w.WriteHeader(t.Status)
	if len(t.Body) == 0 {
		return w.finish()
	}
	if err := w.emit(t.Body); err != nil {
		return err
	}
	return w.finish()
}
