package accesslog

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxRecord is the longest line, in bytes, that the log takes. A call that discloses more subjects
// than that holds is recorded by several records.
const MaxRecord = 4 << 20

// timeForm is RFC 3339 in UTC with all nine digits, so that a record's length does not depend on the clock.
const timeForm = "2006-01-02T15:04:05.000000000Z"

// maxSealed is what seal adds at most: the two names, 19 digits, the hash and the brace.
const maxSealed = len(`,"seq":,"prev":""}`) + 19 + 44

// An entry is a record on its way into the log: its line as zerolog wrote it, and where the answer goes.
type entry struct {
	line   []byte // "{…" without the closing brace
	stamp  []byte
	logger zerolog.Logger // writes to line
	totals totals
	seq    int64
	err    error
	done   chan struct{} // holds one answer, so that the writer never waits
}

// entries pools what an Append needs. An entry that grew beyond keepEntry is left to the collector.
type entries struct{ pool sync.Pool }

const keepEntry = 64 << 10

func (p *entries) get() *entry {
	if e, ok := p.pool.Get().(*entry); ok {
		return e
	}
	e := &entry{done: make(chan struct{}, 1)}
	e.logger = zerolog.New(e)
	return e
}

func (p *entries) put(e *entry) {
	if cap(e.line) <= keepEntry {
		p.pool.Put(e)
	}
}

// Write takes the line from zerolog.
func (e *entry) Write(line []byte) (int, error) {
	e.line = append(e.line[:0], line...)
	return len(line), nil
}

// encode has zerolog write the record; seq and prev are left to seal.
func (e *entry) encode(r *Record, now time.Time) error {
	if !r.Kind.known() {
		return fmt.Errorf("%w: unknown kind", ErrRecord)
	}
	when := now
	if !r.Time.IsZero() {
		when = r.Time
	}
	when = when.UTC()
	if y := when.Year(); y < 1 || y > 9999 {
		return fmt.Errorf("%w: time is outside RFC 3339", ErrRecord)
	}
	e.line = e.line[:0]
	e.stamp = when.AppendFormat(e.stamp[:0], timeForm)
	event := e.logger.Log()
	if event != nil {
		event.Int("v", Version).Bytes("time", e.stamp)
		e.fields(event, r)
		event.Send()
	}
	// A program may switch zerolog off, or build it for CBOR. Neither may leave the log without a line.
	n := len(e.line)
	if n < 3 || e.line[0] != '{' || e.line[n-2] != '}' || e.line[n-1] != '\n' {
		return fmt.Errorf("%w: zerolog wrote no JSON line", ErrRecord)
	}
	e.line = e.line[:n-2]
	if len(e.line)+maxSealed > MaxRecord {
		return fmt.Errorf("%w: longer than %d bytes", ErrRecord, MaxRecord)
	}
	return nil
}

// seal appends the fields that depend on the place in the log.
func seal(line []byte, seq int64, prev tlog.Hash) []byte {
	line = append(line, `,"seq":`...)
	line = strconv.AppendInt(line, seq, 10)
	line = append(line, `,"prev":"`...)
	line = appendHash(line, prev)
	return append(line, `"}`...)
}

// fields writes all that follows the time and precedes the sequence, in the order of the struct. What a record needs
// beside its line is kept in the entry, so that nothing is allocated.
func (own *entry) fields(e *zerolog.Event, r *Record) {
	e.Str("kind", string(r.Kind))
	str(e, "clock", r.Clock)
	str(e, "correlation", r.Correlation)
	str(e, "request_id", r.RequestID)
	str(e, "trace", r.Trace)
	if !r.Actor.empty() {
		e.Object("actor", &r.Actor)
	}
	str(e, "source", r.Source)
	if !r.Request.empty() {
		e.Object("request", &r.Request)
	}
	str(e, "ehr", r.EHR)
	str(e, "tenant", r.Tenant)
	if r.Ticket != (Ticket{}) {
		e.Object("ticket", &r.Ticket)
	}
	str(e, "purpose", r.Purpose)
	if r.Stated != nil {
		e.Str("stated", *r.Stated)
	}
	if r.Policy != (Policy{}) {
		e.Object("policy", &r.Policy)
	}
	if r.BreakGlass != nil {
		e.Object("break_glass", r.BreakGlass)
	}
	num(e, "status", r.Status)
	str(e, "code", r.Code)
	str(e, "reason", r.Reason)
	strs(e, "subjects", r.Subjects)
	strs(e, "patients", r.Patients)
	strs(e, "written", r.Written)
	if r.More {
		e.Bool("more", true)
	}
	if r.Totals != nil {
		own.totals.Totals = r.Totals
		e.Object("totals", &own.totals)
		own.totals.Totals = nil
	}
	str(e, "detail", r.Detail)
	num(e, "count", r.Count)
}

// MarshalZerologObject writes the actor.
func (a *Actor) MarshalZerologObject(e *zerolog.Event) {
	str(e, "subject", a.Subject)
	str(e, "issuer", a.Issuer)
	str(e, "client", a.Client)
	strs(e, "roles", a.Roles)
	str(e, "fhir_user", a.FHIRUser)
	str(e, "binding", a.Binding)
	strs(e, "launch", a.Launch)
}

// MarshalZerologObject writes the request.
func (r *Request) MarshalZerologObject(e *zerolog.Event) {
	str(e, "method", r.Method)
	str(e, "interaction", r.Interaction)
	str(e, "operation", r.Operation)
	str(e, "type", r.Type)
	str(e, "id", r.ID)
	str(e, "version", r.Version)
	if len(r.Parameters) > 0 {
		all := e.CreateArray()
		for i := range r.Parameters {
			one := e.CreateDict()
			r.Parameters[i].MarshalZerologObject(one)
			all.Dict(one)
		}
		e.Array("parameters", all)
	}
	num(e, "entries", r.Entries)
	num(e, "among", r.Among)
}

// MarshalZerologObject writes the parameter.
func (p *Parameter) MarshalZerologObject(e *zerolog.Event) {
	e.Str("name", p.Name)
	str(e, "modifier", p.Modifier)
	strs(e, "values", p.Values)
}

// MarshalZerologObject writes the ticket.
func (t *Ticket) MarshalZerologObject(e *zerolog.Event) {
	str(e, "id", t.ID)
	str(e, "category", t.Category)
}

// MarshalZerologObject writes the policy.
func (p *Policy) MarshalZerologObject(e *zerolog.Event) {
	str(e, "revision", p.Revision)
	str(e, "dataset", p.Dataset)
	num(e, "version", p.Version)
	str(e, "code", p.Code)
}

// MarshalZerologObject writes the emergency, its times as the record's own.
func (b *BreakGlass) MarshalZerologObject(e *zerolog.Event) {
	if *b != (BreakGlass{}) {
		e.Str("reason", b.Reason)
		var stamp [len(timeForm)]byte
		e.Bytes("opened", b.Opened.UTC().AppendFormat(stamp[:0], timeForm))
		e.Bytes("expires", b.Expires.UTC().AppendFormat(stamp[:0], timeForm))
	}
}

// totals writes a record's totals.
type totals struct {
	*Totals
	causes map[string]map[string]int // that are being written
	counts map[string]int            // that are being written
	names  []string                  // of the maps that are being written, one behind the other
}

// MarshalZerologObject writes the totals, the maps by key.
func (t *totals) MarshalZerologObject(e *zerolog.Event) {
	e.Int64("bytes_in", t.BytesIn)
	e.Int64("bytes_out", t.BytesOut)
	t.object(e, "released", t.Released)
	if len(t.Dropped) > 0 {
		t.causes = t.Dropped
		e.Object("dropped", (*causes)(t))
		t.causes = nil
	}
	t.object(e, "removed", t.Removed)
	t.object(e, "tokenized", t.Tokenized)
	t.object(e, "unknown", t.Unknown)
	t.object(e, "missing", t.Missing)
}

func (t *totals) object(e *zerolog.Event, key string, m map[string]int) {
	if len(m) > 0 {
		t.counts = m
		e.Object(key, (*counts)(t))
		t.counts = nil
	}
}

// causes writes its causes.
type causes totals

func (c *causes) MarshalZerologObject(e *zerolog.Event) {
	from := len(c.names)
	c.names = appendSorted(c.names, c.causes)
	for i := from; i < from+len(c.causes); i++ {
		c.counts = c.causes[c.names[i]]
		e.Object(c.names[i], (*counts)(c))
	}
	clear(c.names[from:])
	c.names = c.names[:from]
}

// counts writes its counts.
type counts totals

func (c *counts) MarshalZerologObject(e *zerolog.Event) {
	from := len(c.names)
	c.names = appendSorted(c.names, c.counts)
	for _, name := range c.names[from:] {
		e.Int(name, c.counts[name])
	}
	clear(c.names[from:])
	c.names = c.names[:from]
}

// appendSorted appends the names in m, in their order.
func appendSorted[V any](names []string, m map[string]V) []string {
	from := len(names)
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names[from:])
	return names
}

func str(e *zerolog.Event, key, value string) {
	if value != "" {
		e.Str(key, value)
	}
}

func num(e *zerolog.Event, key string, value int) {
	if value != 0 {
		e.Int(key, value)
	}
}

func strs(e *zerolog.Event, key string, values []string) {
	if len(values) > 0 {
		e.Strs(key, values)
	}
}
