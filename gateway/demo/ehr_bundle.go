package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
)

type link struct{ relation, url string }

// A bundle writes a Bundle entry by entry, so that a page of ten thousand entries
// is not held, and leaves in pieces as a large server's does.
type bundle struct {
	c       *call
	out     *bufio.Writer
	scratch []byte
	entries int
}

// bundle begins one. The total is left out where counted is false.
func (c *call) bundle(kind string, total int, counted bool, links []link) *bundle {
	c.w.Header().Set("Content-Type", fhirJSON)
	c.w.WriteHeader(http.StatusOK)
	b := &bundle{c: c, out: bufio.NewWriterSize(c.w, 16<<10)}
	var ls array
	for _, l := range links {
		ls = append(ls, obj("relation", l.relation, "url", l.url))
	}
	head := obj("resourceType", "Bundle", "id", roll(uint64(total), kind, len(links)).uuid(),
		"meta", obj("lastUpdated", instant(Reference())), "type", kind)
	if counted {
		head = append(head, member{"total", total})
	}
	head = head.with("link", ls)
	doc := b.indent(appendValue(nil, head), "")
	doc = bytes.TrimRight(doc, "}\n")
	b.out.Write(doc) // the writer keeps its first error; close returns it
	return b
}

// entry adds a resource, with the members that stand beside it; of one that is
// deleted there is no body.
func (b *bundle) entry(r *resource, body []byte, beside object) {
	switch {
	case b.entries > 0:
		b.out.WriteByte(',')
	case b.c.pretty:
		b.out.WriteString(",\n  \"entry\": [")
	default:
		b.out.WriteString(`,"entry":[`)
	}
	b.entries++
	e := append(b.scratch[:0], `{"fullUrl":`...)
	e = appendString(e, b.c.base+"/"+r.reference())
	if body != nil {
		e = append(e, `,"resource":`...)
		e = append(e, rebase(body, b.c.base)...)
	}
	e = append(e, ',')
	e = append(e, appendValue(nil, beside)[1:]...)
	b.scratch = e
	if b.c.pretty {
		b.out.WriteString("\n    ")
	}
	b.out.Write(b.indent(e, "    "))
}

func (b *bundle) close() error {
	if b.entries > 0 {
		b.out.WriteByte(']')
	}
	b.out.WriteByte('}')
	b.out.Flush() // the client is gone where this fails; nobody is left to tell
	return nil
}

func (b *bundle) indent(doc []byte, prefix string) []byte {
	if !b.c.pretty {
		return doc
	}
	var out bytes.Buffer
	if json.Indent(&out, doc, prefix, "  ") != nil {
		return doc
	}
	return out.Bytes()
}
