package gateway

import (
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// call is what one request has learned about itself. It is passed as an argument, never
// through a context, and rec grows as the request is understood.
type call struct {
	g        *Gateway
	gen      *generation
	w        http.ResponseWriter
	ctl      *http.ResponseController
	conn     *seated // nil where it is not this call's alone
	ids      correlation
	begun    time.Time
	until    time.Time // for which the client waits, by the real clock; zero where it does not say
	head     bool
	unread   bool        // HTTP/1.1, with a body that nobody reads
	held     int64       // of its body, in bytes
	foreign  bool        // from a web page of an origin that may call
	anyone   bool        // a discovery document, which any page may read
	coding   fhir.Coding // that the client takes
	out      encoder     // of the body; nil where it leaves in no coding
	among    int         // of an entry: how many its batch or transaction has
	rec      accesslog.Record
	text     []byte // scratch: the names of a window's subjects, one after the other
	ends     []int  // scratch: where each ends
	fate     fate   // of a write: whether the EHR carried it out
	looked   bool   // of a write: what is refused tells of whom the record names
	released bool   // a window has left: only an abort can take the answer back
	code     string // outcome for the metrics
}

func (g *Gateway) begin(w http.ResponseWriter, r *http.Request) *call {
	gen := g.hold()
	c := &call{
		g: g, gen: gen, w: w, ctl: http.NewResponseController(w), conn: alone(r), ids: correlate(r.Header), begun: g.now(),
		head: r.Method == http.MethodHead, unread: r.ContentLength != 0 && r.ProtoMajor == 1,
	}
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// net/http forgets a length that stood beside the chunks. Another reader before us may have gone
		// by it, so that what follows the chunks is no request of its own (RFC 9112, section 6.1).
		w.Header().Set("Connection", "close")
	}
	c.allowOrigin(r)
	_ = c.await(gen.longest) // where this fails, the server's own timeout holds
	c.rec = accesslog.Record{
		Time: c.begun, Correlation: c.ids.correlation, RequestID: c.ids.request, Trace: c.ids.trace,
		Source:  source(r, gen.proxies),
		Request: accesslog.Request{Method: knownMethod(r.Method)},
		Policy:  accesslog.Policy{Revision: gen.policies.Revision()},
	}
	g.metrics.inflight.Inc()
	g.calls.Add(1)
	return c
}

// end counts the call; a panic of ours is a refusal like any other, without its text.
func (g *Gateway) end(c *call) {
	defer g.calls.Done()
	defer g.metrics.inflight.Dec()
	defer func() { c.frees(c.held) }()
	defer c.gen.release()
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			g.metrics.observe(c)
			panic(p)
		}
		g.logger.Error().Str("correlation", c.ids.correlation).Bytes("stack", debug.Stack()).Msg("panic while serving a call")
		defer g.metrics.observe(c)
		g.refuse(c, refusal("internal"))
		return
	}
	g.metrics.observe(c)
}

// knownMethod keeps a client's invention out of the log.
func knownMethod(m string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, m) {
		return m
	}
	return "other"
}

func (c *call) towards(r *route) { c.rec.EHR, c.rec.Tenant = r.name, r.tenant }

func (c *call) by(a *auth.Caller) {
	c.rec.Actor = accesslog.Actor{
		Subject: a.Subject, Issuer: a.Issuer, Client: a.ClientID, Roles: a.Roles, FHIRUser: c.user(a.Grant.FHIRUser),
	}
	if how := binding(a); how != "none" {
		c.rec.Actor.Binding = how
	}
	if a.Grant.Patient != "" {
		c.rec.Actor.Launch = append(c.rec.Actor.Launch, "patient")
	}
	if a.Grant.Encounter != "" {
		c.rec.Actor.Launch = append(c.rec.Actor.Launch, "encounter")
	}
}

// byTokenOf names whose token a call was refused with, where the token itself was good.
func (c *call) byTokenOf(err error) {
	if e := (*auth.Error)(nil); errors.As(err, &e) && e.Caller != nil {
		c.by(e.Caller)
	}
}

func (c *call) about(d desk) {
	c.rec.Ticket = accesslog.Ticket{ID: d.ticket, Category: d.category}
	c.rec.Purpose = d.purpose
}

// asks notes the request as the client sent it: its id in the client's own token, all else that could be of anybody hashed.
// Of one that is not served, it is what was recognised.
func (c *call) asks(req *fhir.Request, err error) {
	q := &c.rec.Request
	q.Among = c.among
	if e := (*fhir.Error)(nil); errors.As(err, &e) {
		if q.Interaction = string(e.Interaction); e.Entry > 0 { // what the entry is, does not say what was asked
			q.Interaction = string(fhir.Transaction)
		} else if fhir.Known(e.Type) {
			q.Type = e.Type
		}
	}
	if req == nil {
		return
	}
	q.Interaction, q.Type = string(req.Interaction), req.Type
	c.askedFor(req)
	q.Operation, q.Entries = req.Operation, len(req.Entries)
	names, n := shape(req), 0
	for _, p := range req.Params {
		n += len(p.Values)
	}
	hashed := make([]string, 0, n)
	q.Parameters = slices.Grow(q.Parameters[:0], len(req.Params)+len(names))
	for _, p := range req.Params {
		from := len(hashed)
		for _, v := range p.Values {
			hashed = append(hashed, c.g.log.Hash(v))
		}
		q.Parameters = append(q.Parameters, accesslog.Parameter{Name: p.Name, Modifier: p.Modifier, Values: slices.Clip(hashed[from:])})
	}
	for _, name := range names { // names alone: there is no value in them
		q.Parameters = append(q.Parameters, accesslog.Parameter{Name: name})
	}
}

// shape is what a request says of its answer, in names alone.
func shape(req *fhir.Request) []string {
	names := includes(req)
	for _, kind := range req.Types {
		names = append(names, "_type="+kind)
	}
	return names
}

func (c *call) decided(d *policies.Decision) {
	if d == nil {
		return
	}
	p := &c.rec.Policy
	p.Dataset, p.Code = d.Dataset, d.Reason.Code
	if d.Plan != nil {
		p.Version = d.Plan.Dataset().Version
	}
	c.rec.Reason = d.Reason.Text
	if d.Purpose != "" && d.Purpose != c.rec.Purpose {
		if stated := c.rec.Purpose; c.rec.Stated == nil {
			c.rec.Stated = &stated
		}
		c.rec.Purpose = d.Purpose
	}
}

// outcome is what the metrics and the operator's log call the end of the call.
func (c *call) outcome(r *Refusal) { c.code = r.Code }

// subjectLength is about how long a name of a subject is: a type and a token.
const subjectLength = 64

// names adds the subjects of a window: each resource in the token that this client sees,
// each patient by the log's own keyed hash. The patients count towards the actor's quota.
func (c *call) names(ehr string, seal *vault.Sealer, subjects transforms.Subjects) error {
	c.rec.Subjects, c.rec.Patients = c.rec.Subjects[:0], c.rec.Patients[:0]
	if c.unrecorded() {
		return nil
	}
	n := subjects.Len()
	c.rec.Subjects, c.ends, c.text = slices.Grow(c.rec.Subjects, n), slices.Grow(c.ends[:0], n), slices.Grow(c.text[:0], n*subjectLength)
	var err error
	for kind, id := range subjects.All() {
		if c.text, err = seal.AppendToken(append(append(c.text, kind...), '/'), kind, id); err != nil {
			return err
		}
		c.ends = append(c.ends, len(c.text))
		if kind == "Patient" {
			c.rec.Patients = append(c.rec.Patients, c.g.log.Patient(ehr, string(id)))
		}
	}
	all, from := string(c.text), 0 // the names are parts of one string
	for _, to := range c.ends {
		c.rec.Subjects = append(c.rec.Subjects, all[from:to])
		from = to
	}
	return c.tell(c.rec.Patients)
}

// await gives the client its time to take what is written next, after so long a wait for an
// EHR: the wait is the EHR's, whose own timeouts bound it. Deadlines are of the real clock.
func (c *call) await(ehr time.Duration) error {
	return c.ctl.SetWriteDeadline(time.Now().Add(ehr + c.gen.patience))
}

// commit makes the record durable.
func (c *call) commit() error {
	if c.unrecorded() {
		return nil
	}
	c.rec.Time, c.rec.Clock = c.g.now(), ""
	if told := policies.Clock(c.begun); told != policies.Clock(c.rec.Time.UTC()) {
		c.rec.Clock = told.String()
	}
	_, err := c.g.log.Append(&c.rec)
	return err
}

// commitRefusal records a refusal. One that can be had without end may only be counted.
func (c *call) commitRefusal() error {
	if endless(&c.rec) && c.fate == unsent {
		if summed, err := c.g.flood.sum(&c.rec); summed || err != nil {
			return err
		}
	}
	return c.commit()
}

// cut records the end of a stream of which part has left: the closing record tells what did. The
// connection must be cut then, so that the client cannot take the part for the whole.
func (c *call) cut(r *Refusal) {
	c.rec.Kind, c.rec.Code, c.rec.Detail = accesslog.KindClose, r.Code, "aborted"
	c.rec.More = false
	c.rec.Subjects, c.rec.Patients = nil, nil
	_ = c.commit() // a log that fails here has poisoned itself, and readiness says so
}

// headers are those of every answer.
func (c *call) headers(h http.Header) {
	v := []string{c.ids.request, c.ids.correlation, "application/fhir+json; charset=utf-8", "no-store", "nosniff"} // one allocation for all
	for i, name := range [...]string{"X-Request-Id", "X-Correlation-Id", "Content-Type", "Cache-Control", "X-Content-Type-Options"} {
		h[name] = v[i : i+1 : i+1]
	}
}

// Totals is a stream's report as records have it.
func Totals(r transforms.Report) *accesslog.Totals {
	return &accesslog.Totals{
		BytesIn: r.BytesIn, BytesOut: r.BytesOut, Released: r.Released, Dropped: r.Dropped,
		Removed: r.Removed, Tokenized: r.Tokenized, Unknown: r.Unknown, Missing: r.Missing,
	}
}
