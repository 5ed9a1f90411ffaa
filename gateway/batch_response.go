package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// bundle is the answer to a batch or transaction, as its parts come. Its own record is durable
// before its end leaves; the parts' are before they do.
type bundle struct {
	*call
	kind  string // batch-response, transaction-response
	parts int    // that have begun
}

// write hands on a piece, after the header and the Bundle's beginning where it is the first.
func (b *bundle) write(piece string) error {
	if !b.released {
		b.released, b.rec.Status = true, http.StatusOK
		h := b.w.Header()
		b.headers(h)
		b.encode(h, -1)
		b.w.WriteHeader(http.StatusOK)
		piece = `{"resourceType":"Bundle","type":"` + b.kind + `"` + piece
	}
	return b.emit([]byte(piece))
}

// close ends the answer, once the record of the whole call is durable.
func (b *bundle) close() error {
	b.rec.Kind, b.rec.Status = accesslog.KindAccess, http.StatusOK // a Bundle of no entries has not begun
	if err := b.commit(); err != nil {
		return err
	}
	if err := b.await(0); err != nil {
		return err
	}
	end := "]}"
	if b.parts == 0 {
		end = "}"
	}
	if err := b.write(end); err != nil {
		return err
	}
	return b.finish()
}

// part is the place of one entry in a bundle, to which its answer is written as to a client. The
// answer's body becomes the entry's resource, or the outcome where it is a refusal; its header
// becomes the entry's response.
type part struct {
	of     *bundle
	header http.Header
	status int
	hints  bool // the client prefers an OperationOutcome to what it wrote
	filled bool // a first byte of the body has left
}

// Header returns what becomes the entry's response.
func (p *part) Header() http.Header { return p.header }

// WriteHeader takes the status.
func (p *part) WriteHeader(status int) { p.status = status }

// Write hands on a piece of the body.
func (p *part) Write(piece []byte) (int, error) {
	if len(piece) == 0 {
		return 0, nil
	}
	if !p.filled {
		p.filled = true
		lead := `{"resource":`
		if p.outcome() {
			lead = `{"response":` + p.response() + `,"outcome":`
		}
		if err := p.of.write(p.comma() + lead); err != nil {
			return 0, err
		}
	}
	return len(piece), p.of.emit(piece)
}

// outcome says whether the body is an OperationOutcome about the call, and no resource.
func (p *part) outcome() bool { return p.status >= http.StatusBadRequest || p.hints }

// comma parts an entry from what comes before.
func (p *part) comma() string {
	p.of.parts++
	if p.of.parts > 1 {
		return ","
	}
	return `,"entry":[`
}

// FlushError hands on what waits in a buffer.
func (p *part) FlushError() error { return p.of.flush() }

// Unwrap leads to the connection, for its deadlines.
func (p *part) Unwrap() http.ResponseWriter { return p.of.w }

// close ends the entry.
func (p *part) close() error {
	var end string
	switch {
	case p.filled && p.outcome():
		end = "}}"
	case p.filled:
		end = `,"response":` + p.response() + "}}"
	default:
		end = p.comma() + `{"response":` + p.response() + "}}"
	}
	if err := p.of.write(end); err != nil {
		return err
	}
	return p.of.flush()
}

// response begins the entry's response, with what the header says and would say to a client alone.
func (p *part) response() string {
	out := `{"status":"` + strconv.Itoa(p.status) + " " + http.StatusText(p.status) + `"`
	for _, m := range []struct{ name, value string }{
		{"location", p.header.Get("Location")},
		{"etag", p.header.Get("ETag")},
		{"lastModified", instant(p.header.Get("Last-Modified"))},
	} {
		if m.value == "" {
			continue
		}
		text, err := json.Marshal(m.value)
		if err != nil {
			panic(err) // a string
		}
		out += `,"` + m.name + `":` + string(text)
	}
	return out
}

// instant is a date of HTTP's as FHIR writes it.
func instant(date string) string {
	t, err := http.ParseTime(date)
	if err != nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
