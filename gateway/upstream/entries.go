package upstream

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// maxEntry bounds one entry of the answer to a transaction, which is held whole: its response may stand behind its resource.
const maxEntry = 4 << 20

// Entries reads the answer to a transaction entry by entry (FHIR R4, section 3.1.0.11.3), and holds one at a time.
type Entries struct {
	ehr   *EHR
	in    io.LimitedReader
	dec   *json.Decoder
	state place
	kind  string // Bundle.type
	typed bool   // it has the resourceType of a Bundle
	seen  bool   // it had entries
	err   error  // of the last Next
}

type place uint8

const (
	outside place = iota // before the Bundle
	within               // between two of its members
	inEntry              // between two of its entries
)

// Entries reads the body of a response from here on.
func (e *EHR) Entries(r *Response) *Entries {
	all := &Entries{ehr: e, in: io.LimitedReader{R: r.Body}}
	all.dec = json.NewDecoder(&all.in)
	return all
}

// Next returns the answer to the next entry as it would be to a call alone: the body is the entry's resource, or else its
// outcome, and may be empty. After the last it returns io.EOF, and only where the Bundle has ended and was a
// transaction-response. The JSON of a body is looked at for its syntax only.
func (e *Entries) Next() (*Response, error) {
	if e.err != nil {
		return nil, e.err
	}
	resp, err := e.next()
	if err != nil {
		e.err = err
		return nil, err
	}
	return resp, nil
}

func (e *Entries) next() (*Response, error) {
	if e.state == outside {
		if err := e.delimiter('{'); err != nil {
			return nil, err
		}
		e.state = within
	}
	for e.state == within {
		if !e.more() {
			return nil, e.end()
		}
		if err := e.member(); err != nil {
			return nil, err
		}
	}
	if !e.more() {
		e.state = within
		if err := e.delimiter(']'); err != nil {
			return nil, err
		}
		return e.next()
	}
	raw, err := e.value()
	if err != nil {
		return nil, err
	}
	return e.entry(raw)
}

// member reads a member of the Bundle, and into its entries.
func (e *Entries) member() error {
	e.in.N = maxEntry
	token, err := e.dec.Token()
	if err != nil {
		return e.broken(err)
	}
	switch name, _ := token.(string); name {
	case "entry":
		if e.seen {
			return e.malformed()
		}
		e.seen, e.state = true, inEntry
		return e.delimiter('[')
	case "resourceType", "type":
		raw, err := e.value()
		if err != nil {
			return err
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return e.malformed()
		}
		switch {
		case name == "type" && e.kind == "" && text == "transaction-response":
			e.kind = text
		case name == "resourceType" && !e.typed && text == "Bundle":
			e.typed = true
		default:
			return e.malformed()
		}
		return nil
	}
	_, err = e.value()
	return err
}

// end reads what ends the answer.
func (e *Entries) end() error {
	if err := e.delimiter('}'); err != nil {
		return err
	}
	if e.kind == "" || !e.typed {
		return e.malformed()
	}
	e.in.N = maxEntry
	switch _, err := e.dec.Token(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return e.malformed()
	default:
		return e.broken(err)
	}
}

func (e *Entries) more() bool {
	e.in.N = maxEntry
	return e.dec.More()
}

func (e *Entries) delimiter(want json.Delim) error {
	e.in.N = maxEntry
	token, err := e.dec.Token()
	if err != nil {
		return e.broken(err)
	}
	if token != want {
		return e.malformed()
	}
	return nil
}

// value reads one value whole.
func (e *Entries) value() (raw json.RawMessage, err error) {
	e.in.N = maxEntry
	if err := e.dec.Decode(&raw); err != nil {
		return nil, e.broken(err)
	}
	return raw, nil
}

// entry takes an entry apart. A member that stands twice would be another one to another reader.
func (e *Entries) entry(raw json.RawMessage) (*Response, error) {
	members, ok := apart(raw)
	said, also := apart([]byte(members["response"].Raw))
	status, known := code(said["status"].Str)
	if !ok || !also || !known {
		return nil, e.malformed()
	}
	body := members["resource"].Raw
	if body == "" {
		body = said["outcome"].Raw
	}
	resp := &Response{
		Status: status, Location: location(said["location"].Str), ETag: entityTag(said["etag"].Str),
		Body: io.NopCloser(strings.NewReader(body)),
	}
	if at, err := time.Parse(time.RFC3339, said["lastModified"].Str); err == nil {
		resp.LastModified = at.UTC().Format(http.TimeFormat)
	}
	return resp, nil
}

// apart are the members of an object; false where it is none, or names one twice.
func apart(raw []byte) (map[string]gjson.Result, bool) {
	object := gjson.ParseBytes(raw)
	members, once := map[string]gjson.Result{}, object.IsObject()
	object.ForEach(func(name, v gjson.Result) bool {
		_, twice := members[name.Str]
		once = once && !twice
		members[name.Str] = v
		return once
	})
	return members, once
}

// code is the status that a text begins with: "201 Created".
func code(text string) (int, bool) {
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text[:3]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n >= 200 && n < 600
}

func (e *Entries) malformed() error {
	return e.fail(Malformed, "the answer is no transaction-response")
}

func (e *Entries) fail(kind Kind, reason string) error {
	return &Error{Kind: kind, EHR: e.ehr.o.Name, Reason: reason}
}

// broken says why reading has failed.
func (e *Entries) broken(err error) error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case e.in.N <= 0:
		return e.fail(TooLarge, "an entry of the answer is longer than its bound")
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return e.fail(Malformed, "the answer ends before its end")
	}
	return e.malformed()
}
