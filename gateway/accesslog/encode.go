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
		r.MarshalZerologObject(event)
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

// MarshalZerologObject writes all that follows the time and precedes the sequence, in the order of
// the struct.
func (r *Record) MarshalZerologObject(e *zerolog.Event) {
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
		e.Object("totals", r.Totals)
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
		e.Array("parameters", (*parameters)(&r.Parameters))
	}
	num(e, "entries", r.Entries)
	num(e, "among", r.Among)
}

type parameters []Parameter

func (p *parameters) MarshalZerologArray(a *zerolog.Array) {
	for i := range *p {
		a.Object(&(*p)[i])
	}
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
		e.Str("opened", b.Opened.UTC().Format(timeForm))
		e.Str("expires", b.Expires.UTC().Format(timeForm))
	}
}

// MarshalZerologObject writes the totals, the maps by key.
func (t *Totals) MarshalZerologObject(e *zerolog.Event) {
	e.Int64("bytes_in", t.BytesIn)
	e.Int64("bytes_out", t.BytesOut)
	object(e, "released", t.Released)
	if len(t.Dropped) > 0 {
		e.Object("dropped", (*causes)(&t.Dropped))
	}
	object(e, "removed", t.Removed)
	object(e, "tokenized", t.Tokenized)
	object(e, "unknown", t.Unknown)
	object(e, "missing", t.Missing)
}

type causes map[string]map[string]int

func (c *causes) MarshalZerologObject(e *zerolog.Event) {
	for _, cause := range sorted(*c) {
		m := (*c)[cause]
		e.Object(cause, (*counts)(&m))
	}
}

type counts map[string]int

func (c *counts) MarshalZerologObject(e *zerolog.Event) {
	for _, name := range sorted(*c) {
		e.Int(name, (*c)[name])
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func object(e *zerolog.Event, key string, m map[string]int) {
	if len(m) > 0 {
		e.Object(key, (*counts)(&m))
	}
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
