package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"
)

// What the EHR is sent of a transaction.

// goes says whether the EHR is sent an entry.
func (m *member) goes() bool {
	if m.write != nil {
		return !m.there
	}
	return !m.read.nothing
}

// sent is an entry as the EHR is sent it.
type sent struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Request  struct {
		Method      string `json:"method"`
		URL         string `json:"url"`
		IfMatch     string `json:"ifMatch,omitempty"`
		IfNoneExist string `json:"ifNoneExist,omitempty"`
	} `json:"request"`
}

// compose writes the Bundle that the EHR is sent; nil where there is nothing to send.
func (t *transaction) compose() ([]byte, error) {
	var entries []sent
	for i, m := range t.members {
		if !m.goes() {
			continue
		}
		var o sent
		if m.write == nil {
			o.Request.Method, o.Request.URL = http.MethodGet, m.read.path
			if m.read.raw != "" {
				o.Request.URL += "?" + m.read.raw
			}
			entries = append(entries, o)
			continue
		}
		body, err := t.linked(m.write.body)
		if err != nil {
			return nil, &entryError{i + 1, err}
		}
		to := m.write.outgoing()
		o.Resource, o.Request.Method, o.Request.URL = body, to.Method, to.Path
		o.Request.IfMatch, o.Request.IfNoneExist = to.IfMatch, to.IfNoneExist
		if t.within(m.entry.FullURL) {
			o.FullURL = m.entry.FullURL
		}
		entries = append(entries, o)
	}
	if entries == nil {
		return nil, nil
	}
	var out bytes.Buffer
	out.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":`)
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the merged resource leaves with the characters that it has
	if err := enc.Encode(entries); err != nil {
		return nil, err
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// linked is a resource with what is there already in place of the entries that would have made it.
func (t *transaction) linked(body []byte) ([]byte, error) {
	for name, is := range t.made {
		if is == "" {
			continue
		}
		body = bytes.ReplaceAll(body, []byte(`"reference":"`+name+`"`), []byte(`"reference":"`+is+`"`))
		if refers(gjson.ParseBytes(body), name) { // by other characters
			return nil, refusal("malformed-body")
		}
	}
	return body, nil
}

// refers says whether something in v is a reference to name.
func refers(v gjson.Result, name string) (found bool) {
	if !v.IsObject() && !v.IsArray() {
		return false
	}
	v.ForEach(func(k, e gjson.Result) bool {
		found = k.Str == "reference" && e.Str == name || refers(e, name)
		return !found
	})
	return found
}

// within says whether a reference is to what another entry makes.
func (t *transaction) within(reference string) bool {
	_, ok := t.made[reference]
	return ok
}
