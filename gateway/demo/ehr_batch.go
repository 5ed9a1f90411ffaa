package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// An entry is one request of a Bundle.
type entry struct {
	method, target string
	fullURL        string
	header         http.Header
	body           []byte
	assign         string // the id that its create is promised
}

// posted answers a batch or a transaction
// (https://hl7.org/fhir/R4/http.html#transaction).
func (c *call) posted() error {
	body, err := c.resource("Bundle")
	if err != nil {
		return err
	}
	doc := gjson.ParseBytes(body)
	kind := doc.Get("type").Str
	if kind != "batch" && kind != "transaction" {
		return badBody("the Bundle is neither a batch nor a transaction")
	}
	var entries []*entry
	var bad error
	doc.Get("entry").ForEach(func(_, v gjson.Result) bool {
		e := &entry{method: v.Get("request.method").Str, target: v.Get("request.url").Str, fullURL: v.Get("fullUrl").Str,
			body: []byte(v.Get("resource").Raw), header: http.Header{"Content-Type": {fhirJSON}}}
		for member, name := range map[string]string{"ifMatch": "If-Match", "ifNoneExist": "If-None-Exist", "ifNoneMatch": "If-None-Match"} {
			if s := v.Get("request." + member).Str; s != "" {
				e.header.Set(name, s)
			}
		}
		if p := c.r.Header.Get("Prefer"); p != "" {
			e.header.Set("Prefer", p)
		}
		if _, err := url.ParseRequestURI("/" + e.target); err != nil || e.target == "" || !slices.Contains(order, e.method) {
			bad = badBody(fmt.Sprintf("entry %d has no request", len(entries)))
		}
		entries = append(entries, e)
		return true
	})
	if bad != nil {
		return bad
	}
	answers := make([]*answer, len(entries))
	if kind == "transaction" {
		err = c.ehr.change(func(s *edit) error { return c.transact(s, entries, answers) })
		if err != nil {
			return err
		}
	} else {
		for i, e := range entries {
			answers[i] = newAnswer()
			inner := &call{ehr: c.ehr, w: answers[i], r: e.request(c.r), base: c.base, store: c.ehr.state.Load()}
			if err := inner.serve(); err != nil {
				inner.refuse(err)
			}
		}
	}
	c.write(http.StatusOK, c.response(kind+"-response", answers))
	return nil
}

// order is in which the entries of a transaction are carried out.
var order = []string{http.MethodDelete, http.MethodPost, http.MethodPut, http.MethodGet, http.MethodHead}

func (c *call) transact(s *edit, entries []*entry, answers []*answer) error {
	names := make([]string, 0, 2*len(entries)) // what the entries call each other, and what it is
	for _, e := range entries {
		if e.method != http.MethodPost || strings.Contains(e.target, "/") {
			continue
		}
		asks := &call{ehr: c.ehr, base: c.base, store: s.store, r: &http.Request{Header: e.header}}
		found, err := asks.existing(e.target)
		if err != nil {
			return err
		}
		if found != nil {
			e.assign = found.id
		} else {
			e.assign = s.reserve(e.target)
		}
		if e.fullURL != "" {
			names = append(names, strconv.Quote(e.fullURL), strconv.Quote(e.target+"/"+e.assign))
		}
	}
	rename := strings.NewReplacer(names...)
	for _, method := range order {
		for i, e := range entries {
			if e.method != method {
				continue
			}
			e.body = []byte(rename.Replace(string(e.body)))
			answers[i] = newAnswer()
			inner := &call{ehr: c.ehr, w: answers[i], r: e.request(c.r), base: c.base, store: s.store, edit: s, assign: e.assign}
			if err := inner.serve(); err != nil {
				f := &failure{status: http.StatusInternalServerError, code: "exception", text: err.Error()}
				errors.As(err, &f)
				return &failure{f.status, f.code, fmt.Sprintf("Bundle.entry[%d]: %s", i, f.text), f.diagnostics}
			}
		}
	}
	return nil
}

func (e *entry) request(outer *http.Request) *http.Request {
	target, _ := url.ParseRequestURI(BasePath + "/" + e.target) // looked at when the Bundle was read
	return (&http.Request{Method: e.method, URL: target, Header: e.header, Host: outer.Host,
		Body: io.NopCloser(bytes.NewReader(e.body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(outer.Context())
}

// response is the Bundle of what became of each entry.
func (c *call) response(kind string, answers []*answer) []byte {
	out := appendValue(nil, obj("resourceType", "Bundle", "id", roll(uint64(len(answers)), kind, 0).uuid(), "type", kind,
		"link", array{obj("relation", "self", "url", c.base)}))
	out = append(out[:len(out)-1], `,"entry":[`...)
	for i, a := range answers {
		if i > 0 {
			out = append(out, ',')
		}
		said := obj("status", strconv.Itoa(a.status)+" "+http.StatusText(a.status), "location", a.header.Get("Location"), "etag", a.header.Get("ETag"))
		if at, err := http.ParseTime(a.header.Get("Last-Modified")); err == nil {
			said = said.with("lastModified", instant(at))
		}
		response := appendValue(nil, said)
		out = append(out, '{')
		switch of := gjson.GetBytes(a.body, "resourceType").Str; {
		case of == "OperationOutcome":
			response = append(append(append(response[:len(response)-1], `,"outcome":`...), a.body...), '}')
		case of != "":
			if id := gjson.GetBytes(a.body, "id").Str; id != "" && of != "Bundle" {
				out = append(appendString(append(out, `"fullUrl":`...), c.base+"/"+of+"/"+id), ',')
			}
			out = append(append(append(out, `"resource":`...), a.body...), ',')
		}
		out = append(append(append(out, `"response":`...), response...), '}')
	}
	return append(out, `]}`...)
}
