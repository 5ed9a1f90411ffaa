package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// An anomaly is what a reviewer should look at.
type anomaly struct {
	Kind   string    `json:"kind"` // "patients", "off-hours", "refusals", "enumeration", "break-glass", "break-glass-refused"
	Time   time.Time `json:"time"` // of the record at which the threshold was reached
	Actor  string    `json:"actor"`
	Count  int       `json:"count"`
	Record string    `json:"record"`
}

// thresholds say what is unusual; 0 turns a kind off.
type thresholds struct {
	patients, refusals, unknown, off, from, to int
	zone                                       *time.Location
}

// habits are what is counted of one actor on one day.
type habits struct {
	patients      map[string]bool
	sought        map[string]bool // in vain
	off, refusals int
	emergencies   map[time.Time]bool // by when they were opened; the zero time for one that was not granted
}

// watch counts day by day, and holds one day.
type watch struct {
	thresholds
	day    string
	actors map[accountKey]*habits
	found  func(anomaly) error
	open   []emergency // openings of emergency access that nobody has asked the log about since
}

// An emergency is an opening, and by what a reviewer asks about it.
type emergency struct {
	anomaly
	ticket, correlation, request string
}

// review takes the emergencies off that a record of a question is about: of their ticket, or of their first call.
func (w *watch) review(e accesslog.Entry) error {
	if e.Kind != accesslog.KindAdmin {
		return nil
	}
	words := strings.Fields(e.Detail) // "ticket INC-1 --since …"
	if len(words) < 2 {
		return nil
	}
	w.open = slices.DeleteFunc(w.open, func(of emergency) bool {
		return e.Code == "audit-ticket" && words[1] == of.ticket || e.Code == "audit-trace" && (words[1] == of.correlation || words[1] == of.request)
	})
	return nil
}

// unreviewed tells of the emergencies that are left.
func (w *watch) unreviewed() error {
	for _, of := range w.open {
		if err := w.found(of.anomaly); err != nil {
			return err
		}
	}
	return nil
}

type accountKey struct{ issuer, subject, client string }

func (w *watch) add(e accesslog.Entry) error {
	if e.Kind == accesslog.KindAdmin {
		return w.review(e)
	}
	if e.Actor.Subject == "" && e.Actor.Client == "" {
		return nil
	}
	at := e.Time.In(w.zone)
	if day := at.Format(time.DateOnly); day != w.day {
		w.day, w.actors = day, map[accountKey]*habits{}
	}
	k := accountKey{e.Actor.Issuer, e.Actor.Subject, e.Actor.Client}
	h := w.actors[k]
	if h == nil {
		h = &habits{patients: map[string]bool{}, sought: map[string]bool{}, emergencies: map[time.Time]bool{}}
		w.actors[k] = h
	}
	tell := func(kind string, n int) error {
		return w.found(anomaly{kind, e.Time, by(&e.Actor), n, e.Place()})
	}
	reached := func(kind string, n *int, limit int) error {
		before := *n
		if *n += max(1, e.Count); limit > 0 && before < limit && *n >= limit {
			return tell(kind, *n)
		}
		return nil
	}
	// A name that is known between two that are not is no excuse: who tries many has some that work.
	if name := soughtInVain(e); name != "" && len(h.sought) < w.unknown && !h.sought[name] {
		if h.sought[name] = true; len(h.sought) == w.unknown {
			if err := tell("enumeration", w.unknown); err != nil {
				return err
			}
		}
	}
	if b := e.BreakGlass; b != nil && !h.emergencies[b.Opened] {
		h.emergencies[b.Opened] = true
		if b.Reason != "" {
			w.open = append(w.open, emergency{anomaly{"break-glass", e.Time, by(&e.Actor), 1, e.Place()}, e.Ticket.ID, e.Correlation, e.RequestID})
		} else if err := tell("break-glass-refused", 1); err != nil {
			return err
		}
	}
	if e.Kind == accesslog.KindRefusal {
		return reached("refusals", &h.refusals, w.refusals)
	}
	if !discloses(e.Record) {
		return nil
	}
	h.refusals = 0
	for _, p := range e.Patients {
		if !h.patients[p] {
			if h.patients[p] = true; w.patients > 0 && len(h.patients) == w.patients {
				if err := tell("patients", len(h.patients)); err != nil {
					return err
				}
			}
		}
	}
	if e.Kind == accesslog.KindAccess && (at.Hour() < w.from || at.Hour() >= w.to) {
		return reached("off-hours", &h.off, w.off)
	}
	return nil
}

// soughtInVain is what a record asked for by its very name, an id or an identifier, where there is no such thing for the caller.
func soughtInVain(e accesslog.Entry) string {
	switch {
	case e.Kind == accesslog.KindRefusal && e.Code == "not-found":
		if of := e.Request.Reference(); of != "" {
			return of
		}
		return e.Place()
	case e.Kind == accesslog.KindAccess && len(e.Subjects) == 0 && !e.More:
		for _, p := range e.Request.Parameters {
			if p.Name == "_id" || p.Name == "identifier" {
				return e.Request.Type + "?" + p.Name + "=" + strings.Join(p.Values, ",")
			}
		}
	}
	return ""
}

func anomaliesCommand() *cobra.Command {
	var r reader
	var w watch
	var zone string
	var lines bool
	c := &cobra.Command{
		Use:   "anomalies --log DIR",
		Short: "Name what a reviewer should look at",
		Long: `Name, for each actor and day, where a threshold is reached: distinct patients
(--patients), calls answered outside the hours (--off-hours, --from, --to, --zone),
refusals in a row (--refusals), different ids and identifiers that were asked for and
are not there, by read or search (--unknown), each
opening of emergency access without a review (break-glass, at the end), and that it was
asked for in vain. A review is a recorded question about its ticket, or about its first
call, that came later: "audit ticket" or "audit trace", with --reason to say what was
found. A threshold of 0 turns its kind off. The exit status is 1 where there is any
anomaly, and where part of the log could not be read.`,
		Example: "  halfdoor audit anomalies --log LOG --since 2026-03-01 --patients 80",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if w.zone, err = time.LoadLocation(zone); err != nil || zone == "" {
				return usage{fmt.Errorf("--zone %q is no time zone", zone)}
			}
			if w.from < 0 || w.from > w.to || w.to > 24 || min(w.patients, w.refusals, w.unknown, w.off) < 0 {
				return usage{errors.New("hours are from 0 to 24, and thresholds not negative")}
			}
			if err := r.open(c); err != nil {
				return err
			}
			n := 0
			w.found = func(a anomaly) error {
				n++
				if lines {
					return printLine(c.OutOrStdout(), a)
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s  %-11s  %d  %s  record %s\n", a.Time.Format(time.RFC3339), a.Kind, a.Count, safe(a.Actor), a.Record)
				return err
			}
			err = r.each(w.add)
			if err == nil && len(w.open) > 0 && !r.to.IsZero() { // a review may have come after the time that is asked about
				r.from, r.to = r.to, time.Time{}
				err = r.each(w.review)
			}
			if err == nil {
				err = w.unreviewed()
			}
			if err := r.done(err); err != nil {
				return err
			}
			if n > 0 {
				return exit(1)
			}
			return nil
		},
	}
	r.flags(c)
	f := c.Flags()
	f.IntVar(&w.patients, "patients", 100, "distinct patients of one actor in a day: `N`")
	f.IntVar(&w.refusals, "refusals", 10, "refusals in a row: `N`")
	f.IntVar(&w.unknown, "unknown", 10, "different ids and identifiers of a day that are not there: `N`")
	f.IntVar(&w.off, "off-hours", 1, "calls of one actor outside the hours in a day: `N`")
	f.IntVar(&w.from, "from", 6, "the first `HOUR` of work")
	f.IntVar(&w.to, "to", 20, "the `HOUR` at which work ends")
	f.StringVar(&zone, "zone", "UTC", "the time zone of days and hours: `NAME`")
	f.BoolVar(&lines, "json", false, "a line of JSON for each")
	return c
}
