package accesslog

import (
	"time"
	"unicode/utf8"
)

// A canonical line is one as the log writes it: the fields in their order, no space between them, no
// escape in a text. Nearly every line is, and reading such a one takes a tenth of what reading any JSON
// does. Whatever differs is left to encoding/json, which also says what is wrong with it; so this file
// refuses nothing, and takes no line for another record than encoding/json does.

// canonical reads a canonical line into r, or returns false.
func canonical(line []byte, r *Record) bool {
	c := cursor{b: line, text: string(line)} // every text of the record is a part of it
	return c.record(r) && c.at == len(line)
}

// whole reports whether a line is a canonical one. It allocates nothing.
func (c *cursor) whole(line []byte) bool {
	*c = cursor{b: line}
	return c.record(&c.scratch) && c.at == len(line)
}

type cursor struct {
	b       []byte
	text    string // of b; empty where nothing is to be kept
	at      int
	first   bool // no field of this object has come yet
	scratch Record
	unkept  Totals
	unmet   BreakGlass
}

// take consumes what is written here, or nothing.
func (c *cursor) take(s string) bool {
	if len(c.b)-c.at < len(s) || string(c.b[c.at:c.at+len(s)]) != s {
		return false
	}
	c.at += len(s)
	return true
}

// quoted reads a text without escapes.
func (c *cursor) quoted() (string, bool) {
	if !c.take(`"`) {
		return "", false
	}
	begin, ascii := c.at, true
	for ; c.at < len(c.b); c.at++ {
		switch b := c.b[c.at]; {
		case b == '"':
			end := c.at
			c.at++
			if !ascii && !utf8.Valid(c.b[begin:end]) {
				return "", false
			}
			if c.text == "" {
				return "", true
			}
			return c.text[begin:end], true
		case b == '\\' || b < ' ':
			return "", false
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

// maxDigits keeps a number within an int64.
const maxDigits = 18

func (c *cursor) digits() (n int64, ok bool) {
	begin := c.at
	for c.at < len(c.b) && c.at-begin <= maxDigits && c.b[c.at] >= '0' && c.b[c.at] <= '9' {
		n = n*10 + int64(c.b[c.at]-'0')
		c.at++
	}
	many := c.at - begin
	return n, many > 0 && many <= maxDigits && (many == 1 || c.b[begin] != '0')
}

// field consumes the name of a member, `"name":`, where it comes next, with the comma before it.
func (c *cursor) field(name string) bool {
	at := c.at
	if !c.first && !c.take(",") || !c.take(name) {
		c.at = at
		return false
	}
	c.first = false
	return true
}

// str reads a text where its name comes next.
func (c *cursor) str(name string, to *string) (ok bool) {
	if c.field(name) {
		*to, ok = c.quoted()
		return ok
	}
	return true
}

func (c *cursor) num(name string, to *int) (ok bool) {
	if c.field(name) {
		*to, ok = c.small()
		return ok
	}
	return true
}

func (c *cursor) int64(name string, to *int64) (ok bool) {
	if c.field(name) {
		*to, ok = c.digits()
		return ok
	}
	return true
}

func (c *cursor) small() (int, bool) {
	n, ok := c.digits()
	return int(n), ok && int64(int(n)) == n
}

// list reads an array that is not empty; of an empty one encoding/json makes another value.
func (c *cursor) list(element func() bool) bool {
	if !c.take("[") {
		return false
	}
	for {
		if !element() {
			return false
		}
		if !c.take(",") {
			return c.take("]")
		}
	}
}

func (c *cursor) strs(name string, to *[]string) bool {
	return !c.field(name) || c.list(func() bool {
		s, ok := c.quoted()
		if c.text != "" {
			*to = append(*to, s)
		}
		return ok
	})
}

// members reads an object of names that are no fields, and is not empty.
func (c *cursor) members(member func(name string) bool) bool {
	if !c.take("{") {
		return false
	}
	for {
		name, ok := c.quoted()
		if !ok || !c.take(":") || !member(name) {
			return false
		}
		if !c.take(",") {
			return c.take("}")
		}
	}
}

func (c *cursor) counts(name string, to *map[string]int) bool {
	return !c.field(name) || c.tally(to)
}

func (c *cursor) tally(to *map[string]int) bool {
	if c.text != "" {
		*to = map[string]int{}
	}
	return c.members(func(name string) bool {
		n, ok := c.small()
		if c.text != "" {
			(*to)[name] = n
		}
		return ok
	})
}

// object reads a member that is an object with fields.
func (c *cursor) object(name string, fields func() bool) bool {
	return !c.field(name) || c.fields(fields)
}

func (c *cursor) fields(fields func() bool) bool {
	if !c.take("{") {
		return false
	}
	c.first = true
	ok := fields()
	c.first = false
	return ok && c.take("}")
}

func (c *cursor) record(r *Record) bool {
	var kind string
	ok := c.take(`{"v":1`) && c.field(`"time":`) && c.time(&r.Time) && c.str(`"kind":`, &kind) && c.str(`"clock":`, &r.Clock) &&
		c.str(`"correlation":`, &r.Correlation) && c.str(`"request_id":`, &r.RequestID) && c.str(`"trace":`, &r.Trace) &&
		c.object(`"actor":`, func() bool {
			a := &r.Actor
			return c.str(`"subject":`, &a.Subject) && c.str(`"issuer":`, &a.Issuer) && c.str(`"client":`, &a.Client) &&
				c.strs(`"roles":`, &a.Roles) && c.str(`"fhir_user":`, &a.FHIRUser) && c.str(`"binding":`, &a.Binding) && c.strs(`"launch":`, &a.Launch)
		}) &&
		c.str(`"source":`, &r.Source) &&
		c.object(`"request":`, func() bool { return c.request(&r.Request) }) &&
		c.str(`"ehr":`, &r.EHR) && c.str(`"tenant":`, &r.Tenant) &&
		c.object(`"ticket":`, func() bool {
			return c.str(`"id":`, &r.Ticket.ID) && c.str(`"category":`, &r.Ticket.Category)
		}) &&
		c.str(`"purpose":`, &r.Purpose) && c.stated(&r.Stated) &&
		c.object(`"policy":`, func() bool {
			p := &r.Policy
			return c.str(`"revision":`, &p.Revision) && c.str(`"dataset":`, &p.Dataset) && c.num(`"version":`, &p.Version) && c.str(`"code":`, &p.Code)
		}) &&
		c.breakGlass(&r.BreakGlass) &&
		c.emergency(&r.BreakGlass) &&
		c.num(`"status":`, &r.Status) && c.str(`"code":`, &r.Code) && c.str(`"reason":`, &r.Reason) &&
		c.strs(`"subjects":`, &r.Subjects) && c.strs(`"patients":`, &r.Patients) && c.strs(`"written":`, &r.Written)
	if !ok {
		return false
	}
	if c.field(`"more":`) {
		if r.More = true; !c.take("true") {
			return false
		}
	}
	ok = c.totals(&r.Totals) && c.str(`"detail":`, &r.Detail) && c.num(`"count":`, &r.Count) &&
		c.field(`"seq":`) && c.seq(&r.Sequence) && c.field(`"prev":`) && c.prev(&r.Previous) && c.take("}")
	r.Version, r.Kind = Version, Kind(kind)
	return ok && (c.text == "" || r.Kind.known())
}

func (c *cursor) stated(to **string) bool {
	if !c.field(`"stated":`) {
		return true
	}
	s, ok := c.quoted()
	if c.text != "" {
		*to = &s
	}
	return ok
}

func (c *cursor) emergency(to **BreakGlass) bool {
	if !c.field(`"break_glass":`) {
		return true
	}
	b := &c.unmet
	if c.text != "" {
		b = new(BreakGlass)
		*to = b
	}
	return c.fields(func() bool {
		return c.str(`"reason":`, &b.Reason) && c.moment(`"opened":`, &b.Opened) && c.moment(`"expires":`, &b.Expires)
	})
}

func (c *cursor) moment(name string, to *time.Time) bool { return !c.field(name) || c.time(to) }

func (c *cursor) request(q *Request) bool {
	return c.str(`"method":`, &q.Method) && c.str(`"interaction":`, &q.Interaction) && c.str(`"operation":`, &q.Operation) &&
		c.str(`"type":`, &q.Type) && c.str(`"id":`, &q.ID) && c.str(`"version":`, &q.Version) && c.parameters(&q.Parameters) &&
		c.num(`"entries":`, &q.Entries) && c.num(`"among":`, &q.Among)
}

func (c *cursor) parameters(to *[]Parameter) bool {
	return !c.field(`"parameters":`) || c.list(func() bool {
		var p Parameter
		ok := c.fields(func() bool {
			return c.str(`"name":`, &p.Name) && c.str(`"modifier":`, &p.Modifier) && c.strs(`"values":`, &p.Values)
		})
		if c.text != "" {
			*to = append(*to, p)
		}
		return ok
	})
}

func (c *cursor) totals(to **Totals) bool {
	if !c.field(`"totals":`) {
		return true
	}
	t := &c.unkept
	if c.text != "" {
		t = new(Totals)
		*to = t
	}
	return c.fields(func() bool {
		return c.int64(`"bytes_in":`, &t.BytesIn) && c.int64(`"bytes_out":`, &t.BytesOut) && c.counts(`"released":`, &t.Released) &&
			c.dropped(&t.Dropped) && c.counts(`"removed":`, &t.Removed) && c.counts(`"tokenized":`, &t.Tokenized) &&
			c.counts(`"unknown":`, &t.Unknown) && c.counts(`"missing":`, &t.Missing)
	})
}

func (c *cursor) breakGlass(to **BreakGlass) bool {
	return c.object(`"break_glass":`, func() bool {
		b := new(BreakGlass)
		if c.text != "" {
			*to = b
		}
		if len(c.b) > c.at && c.b[c.at] == '}' {
			return true
		}
		return c.str(`"reason":`, &b.Reason) && c.field(`"opened":`) && c.time(&b.Opened) && c.field(`"expires":`) && c.time(&b.Expires)
	})
}

func (c *cursor) dropped(to *map[string]map[string]int) bool {
	if !c.field(`"dropped":`) {
		return true
	}
	if c.text != "" {
		*to = map[string]map[string]int{}
	}
	return c.members(func(cause string) bool {
		var kinds map[string]int
		ok := c.tally(&kinds)
		if c.text != "" {
			(*to)[cause] = kinds
		}
		return ok
	})
}

func (c *cursor) seq(to *int64) (ok bool) {
	*to, ok = c.digits()
	return ok
}

func (c *cursor) prev(to *string) bool {
	begin := c.at + 1
	s, ok := c.quoted()
	if *to = s; !ok || c.text == "" {
		return ok && c.at-1-begin == 44
	}
	_, err := parseHash(s)
	return err == nil
}

// time reads the form that the log writes: all nine digits, in UTC.
func (c *cursor) time(to *time.Time) bool {
	const length = len(`"2006-01-02T15:04:05.000000000Z"`)
	if len(c.b)-c.at < length {
		return false
	}
	b := c.b[c.at : c.at+length]
	n := func(at, digits int) (n int) {
		for _, d := range b[at : at+digits] {
			if d < '0' || d > '9' {
				return -1
			}
			n = n*10 + int(d-'0')
		}
		return n
	}
	if b[0] != '"' || b[5] != '-' || b[8] != '-' || b[11] != 'T' || b[14] != ':' || b[17] != ':' || b[20] != '.' || b[30] != 'Z' || b[31] != '"' {
		return false
	}
	year, month, day, hour, minute, second, nano := n(1, 4), n(6, 2), n(9, 2), n(12, 2), n(15, 2), n(18, 2), n(21, 9)
	if year < 1 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || nano < 0 {
		return false
	}
	c.at += length
	*to = time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC)
	return !to.IsZero()
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
