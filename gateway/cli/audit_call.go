package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A call is what the records of one request say together. Its JSON is what "audit trace --json" prints.
type call struct {
	RequestID   string                `json:"request_id,omitzero"`
	Correlation string                `json:"correlation,omitzero"`
	Trace       string                `json:"trace,omitzero"`
	Kind        accesslog.Kind        `json:"kind"` // of its last record
	Begun       time.Time             `json:"begun"`
	Ended       time.Time             `json:"ended"` // by its last record
	Complete    bool                  `json:"complete"`
	Actor       accesslog.Actor       `json:"actor,omitzero"`
	Source      string                `json:"source,omitzero"`
	Request     accesslog.Request     `json:"request,omitzero"`
	EHR         string                `json:"ehr,omitzero"`
	Tenant      string                `json:"tenant,omitzero"`
	Ticket      accesslog.Ticket      `json:"ticket,omitzero"`
	Purpose     string                `json:"purpose,omitzero"`
	Policy      accesslog.Policy      `json:"policy,omitzero"`
	BreakGlass  *accesslog.BreakGlass `json:"break_glass,omitzero"`
	Status      int                   `json:"status,omitzero"`
	Code        string                `json:"code,omitzero"`
	Reason      string                `json:"reason,omitzero"`
	Detail      string                `json:"detail,omitzero"`
	Intended    bool                  `json:"intended,omitzero"` // a write was recorded before the EHR was asked
	Written     []string              `json:"written,omitzero"`
	About       int                   `json:"about,omitzero"`    // patients whom the write named before
	Released    bool                  `json:"released,omitzero"` // something was released
	Patients    int                   `json:"patients,omitzero"` // of whom something was released
	Subjects    []string              `json:"subjects,omitzero"` // the first of them
	More        int                   `json:"more_subjects,omitzero"`
	Totals      *accesslog.Totals     `json:"totals,omitzero"`
	Records     []string              `json:"records"`
	Entries     []*call               `json:"entries,omitzero"` // of a batch or transaction

	number string // of an entry
}

// subjectsShown bounds what a call holds of the resources that left; the records have all.
const subjectsShown = 20

// add takes the next record.
func (c *call) add(e accesslog.Entry) {
	if len(c.Records) == 0 {
		c.Begun, c.RequestID, c.Correlation, c.Trace = e.Time, e.RequestID, e.Correlation, e.Trace
		if len(c.Entries) > 0 { // the record of a batch closes it
			c.Begun = c.Entries[0].Begun
		}
	}
	c.Records = append(c.Records, e.Place())
	c.Kind, c.Ended, c.Complete = e.Kind, e.Time, !e.More
	c.Actor, c.Source, c.Request, c.EHR, c.Tenant = e.Actor, e.Source, e.Request, e.EHR, e.Tenant
	c.Ticket, c.Purpose, c.Policy, c.BreakGlass = e.Ticket, e.Purpose, e.Policy, e.BreakGlass
	c.Status, c.Code, c.Reason, c.Detail = e.Status, e.Code, e.Reason, e.Detail
	if e.Totals != nil {
		c.Totals = e.Totals
	}
	if len(e.Written) > 0 {
		c.Written = e.Written
	}
	switch e.Kind {
	case accesslog.KindIntent:
		c.Intended, c.About = true, len(e.Patients)
	case accesslog.KindAccess, accesslog.KindRelease, accesslog.KindClose:
		c.Released = true
		c.Patients += len(e.Patients)
		room := min(len(e.Subjects), subjectsShown-len(c.Subjects))
		c.Subjects = append(c.Subjects, e.Subjects[:room]...)
		c.More += len(e.Subjects) - room
	case accesslog.KindRefusal, accesslog.KindAdmin, accesslog.KindRecovery, accesslog.KindRotation:
	}
}

// ofTheLog says whether it is no call, but an act, or of the log itself.
func (c *call) ofTheLog() bool {
	return c.Kind == accesslog.KindAdmin || c.Kind == accesslog.KindRecovery || c.Kind == accesslog.KindRotation
}

// entry is the call that an entry of a batch is.
func (c *call) entry(number string) *call {
	// The records of one entry come one after the other, but in a transaction.
	for _, e := range slices.Backward(c.Entries) {
		if e.number == number {
			return e
		}
	}
	e := &call{number: number}
	c.Entries = append(c.Entries, e)
	return e
}

// calls joins records to calls, and hands each on when it has ended. It holds those that have not.
type calls struct {
	open  map[string]*call
	visit func(*call) error
}

func (s *calls) add(e accesslog.Entry) error {
	if e.RequestID == "" { // of no request
		c := new(call)
		c.add(e)
		return s.visit(c)
	}
	id, number, entry := strings.Cut(e.RequestID, "#")
	key := e.Log + "\x00" + id
	c := s.open[key]
	if c == nil {
		c = new(call)
		s.open[key] = c
	}
	if entry {
		c.entry(number).add(e)
		return nil
	}
	c.add(e)
	if e.More {
		return nil
	}
	delete(s.open, key)
	return s.visit(c)
}

// end hands on the calls of which no end is recorded.
func (s *calls) end() error {
	var left []*call
	for _, c := range s.open {
		if len(c.Records) == 0 { // of a batch only entries are there
			first, last := c.Entries[0], c.Entries[len(c.Entries)-1]
			c.Begun, c.Ended, c.Kind, c.Actor, c.Source = first.Begun, last.Ended, last.Kind, first.Actor, first.Source
			c.RequestID, _, _ = strings.Cut(first.RequestID, "#")
			c.Correlation, c.Trace, c.EHR, c.Tenant = first.Correlation, first.Trace, first.EHR, first.Tenant
			c.Ticket, c.Purpose = first.Ticket, first.Purpose
		}
		left = append(left, c)
	}
	slices.SortFunc(left, func(a, b *call) int {
		return cmp.Or(a.Begun.Compare(b.Begun), strings.Compare(a.RequestID, b.RequestID))
	})
	for _, c := range left {
		if err := s.visit(c); err != nil {
			return err
		}
	}
	return nil
}
