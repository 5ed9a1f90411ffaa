package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func traceCommand() *cobra.Command {
	return storyCommand("CORRELATION-ID", func(id string) accesslog.Query { return accesslog.Query{Correlation: id} }, &cobra.Command{
		Use:   "trace CORRELATION-ID --log DIR",
		Short: "Tell the whole story of one correlation or request id",
		Long: `Tell what happened under a correlation id, or a request id, call by call in the
order in which they ended: who asked what of whom and why, what was decided,
what left, what was written and what became of it. A batch is told entry by
entry. --json prints a line of JSON for each call.

The words are the records' own: no patient's data is in them. Numbers behind
"records" are those of "audit query" and "audit prove".`,
		Example: "  halfdoor audit trace 7b1c0a8e --log /var/lib/halfdoor/log",
	})
}

func ticketCommand() *cobra.Command {
	return storyCommand("ID", func(id string) accesslog.Query { return accesslog.Query{Ticket: id} }, &cobra.Command{
		Use:   "ticket ID --log DIR",
		Short: "Tell the whole story of a helpdesk ticket",
		Long: `Tell what was done under a ticket, call by call in the order in which they ended:
who asked what of whom, what was decided, what left, what was written and what
became of it. A batch is told entry by entry. --json prints a line of JSON for
each call.

A call that was refused before its ticket was known is not among them: find it
by its correlation id with "audit trace".`,
		Example: "  halfdoor audit ticket INC-4711 --log /var/lib/halfdoor/log",
	})
}

func storyCommand(name string, query func(string) accesslog.Query, c *cobra.Command) *cobra.Command {
	var r reader
	var lines bool
	c.Args = oneArg(name)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := r.open(c, args[0]); err != nil {
			return err
		}
		told := 0
		s := calls{open: map[string]*call{}, visit: func(one *call) error {
			told++
			if lines {
				return printLine(c.OutOrStdout(), one)
			}
			return tell(c.OutOrStdout(), one)
		}}
		err := r.each(s.add, query(args[0]))
		if err == nil {
			err = s.end()
		}
		if err == nil && told == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "no record of it")
		}
		return r.done(err)
	}
	r.flags(c)
	c.Flags().BoolVar(&lines, "json", false, "a line of JSON for each call")
	return c
}

// printLine prints v as a line of JSON.
func printLine(w io.Writer, v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(line.Bytes())
	return err
}

const clock = "2006-01-02 15:04:05.000"

// tell prints a call in words.
func tell(w io.Writer, c *call) error {
	var b strings.Builder
	who := by(&c.Actor)
	if c.Source != "" {
		who += " from " + c.Source
	}
	fmt.Fprintf(&b, "%s UTC  %s\n", c.Begun.Format(clock), safe(who))
	c.tell(&b, "  ")
	for _, e := range c.Entries {
		fmt.Fprintf(&b, "  entry %s\n", safe(e.number))
		e.tell(&b, "    ")
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *call) tell(b *strings.Builder, indent string) {
	say := func(label, text string) {
		if text != "" {
			fmt.Fprintf(b, "%s%-8s %s\n", indent, label, safe(text))
		}
	}
	say("asked", c.asked())
	if c.number == "" {
		say("because", c.because())
	}
	say("decided", c.decided())
	if c.Intended || len(c.Written) > 0 {
		say("write", c.wrote())
	}
	say("left", c.left())
	say("outcome", c.outcome())
	if c.number == "" && c.RequestID != "" {
		say("ids", "correlation "+c.Correlation+", request "+c.RequestID)
	}
	say("records", strings.Join(c.Records, ", "))
}

func by(a *accesslog.Actor) string {
	who := a.Subject
	switch {
	case a.Subject == "" && a.Client == "":
		return "nobody who was recognised"
	case a.Subject == "":
		who = "the app " + a.Client
	case a.Client != "" && a.Client != a.Subject:
		who += " by the app " + a.Client
	}
	if len(a.Roles) > 0 {
		who += " (" + strings.Join(a.Roles, ", ") + ")"
	}
	return who
}

// asked is the request in words.
func (c *call) asked() string {
	q := &c.Request
	if c.ofTheLog() {
		return strings.TrimSuffix("an act of the administration: "+c.Code, ": ")
	}
	target := q.Type
	if q.ID != "" && q.Interaction != "search-compartment" {
		target = strings.Trim(q.Reference(), "/")
	}
	what := map[string]string{
		"read": "to read " + target, "vread": "to read a version of " + target, "search-type": "to search " + target,
		"search-system": "to search all types", "search-compartment": strings.Join(strings.Fields("to search "+q.Type+" of what belongs to "+q.Reference()), " "),
		"history-instance": "for the history of " + target, "history-type": "for the history of all " + target, "history-system": "for the history of everything",
		"create": "to create a " + target, "update": "to update " + target, "patch": "to change " + target, "delete": "to delete " + target,
		"capabilities": "what it may ask", "batch": fmt.Sprintf("a batch of %d entries", q.Entries), "transaction": fmt.Sprintf("a transaction of %d entries", q.Entries),
		"operation": strings.TrimSuffix("for the operation $"+q.Operation+" of "+target, " of "),
	}[q.Interaction]
	if what == "" {
		if what = strings.TrimSpace(q.Interaction + " " + target); what == "" && len(c.Records) > 0 {
			what = "something that was not understood"
		}
	}
	if len(q.Parameters) > 0 {
		var names []string
		for _, p := range q.Parameters {
			names = append(names, strings.TrimSuffix(p.Name+":"+p.Modifier, ":"))
		}
		what += " by " + strings.Join(names, ", ")
	}
	if c.EHR != "" {
		what += " at the EHR " + c.EHR
	}
	return what
}

func (c *call) because() string {
	var why []string
	if c.Ticket.ID != "" {
		t := "ticket " + c.Ticket.ID
		if c.Ticket.Category != "" {
			t += " (" + c.Ticket.Category + ")"
		}
		why = append(why, t)
	}
	if c.Purpose != "" {
		why = append(why, "purpose "+c.Purpose)
	}
	switch b := c.BreakGlass; {
	case b == nil:
	case b.Reason == "":
		why = append(why, "BREAK-GLASS asked for and not granted")
	default:
		why = append(why, "BREAK-GLASS for "+b.Reason+", open from "+b.Opened.Format(time.RFC3339)+" to "+b.Expires.Format(time.RFC3339))
	}
	if len(why) == 0 && !c.ofTheLog() {
		return "no ticket and no purpose are recorded"
	}
	return strings.Join(why, ", ")
}

// decided says what the policy said, and whether it was the policy that refused.
func (c *call) decided() string {
	p := &c.Policy
	var by string
	if p.Dataset != "" {
		by = fmt.Sprintf(", dataset %s version %d", p.Dataset, p.Version)
	}
	if p.Revision != "" {
		by += ", policy revision " + p.Revision
	}
	switch {
	case p.Code == "" && c.Kind == accesslog.KindRefusal:
		return "refused before the policy was asked" + by
	case p.Code == "":
		return ""
	case c.Kind == accesslog.KindRefusal && p.Code == c.Code:
		return "the policy refused: " + p.Code + because(c.Reason) + by
	}
	return "the policy allowed it: " + p.Code + because(c.Reason) + by
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(reason, ".") + ")"
}

// wrote says what a write was to change, and whom it was about.
func (c *call) wrote() string {
	what := strings.Join(c.Written, ", ")
	if what == "" {
		what = "no element is named"
	}
	if !c.Intended {
		return what
	}
	return fmt.Sprintf("%s; recorded before the EHR was asked, about %s", what, count(c.About, "patient"))
}

// left says what was released.
func (c *call) left() string {
	if !c.Released {
		if c.Kind == accesslog.KindRefusal {
			return "nothing"
		}
		return ""
	}
	var parts []string
	if t := c.Totals; t != nil {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(t.Released)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", t.Released[kind], kind))
		}
		if len(kinds) > 0 {
			parts = append(parts, strings.Join(kinds, ", "))
		}
		parts = append(parts, fmt.Sprintf("%d bytes", t.BytesOut))
	}
	if c.number != "" || c.Patients > 0 || len(c.Entries) == 0 {
		parts = append(parts, "about "+count(c.Patients, "patient"))
	}
	if len(c.Subjects) > 0 {
		named := strings.Join(c.Subjects, ", ")
		if c.More > 0 {
			named += fmt.Sprintf(" and %d more", c.More)
		}
		parts = append(parts, named)
	}
	if t := c.Totals; t != nil {
		for _, cause := range slices.Sorted(maps.Keys(t.Dropped)) {
			parts = append(parts, fmt.Sprintf("%d withheld (%s)", sum(t.Dropped[cause]), cause))
		}
		if n := sum(t.Removed); n > 0 {
			parts = append(parts, count(n, "element")+" removed")
		}
		if n := sum(t.Tokenized); n > 0 {
			parts = append(parts, fmt.Sprintf("%d in tokens", n))
		}
	}
	return strings.Join(parts, "; ")
}

// outcome says how it ended.
func (c *call) outcome() string {
	if c.ofTheLog() {
		return c.Detail
	}
	if !c.Complete {
		if c.Intended {
			return "not recorded: the gateway stopped before, or it is still under way; the EHR may have carried the write out"
		}
		return "not recorded: the gateway stopped before, or it is still under way"
	}
	text := fmt.Sprint(c.Status)
	if c.Code != "" {
		text += " " + c.Code
		if sentence := gateway.Sentence(c.Code); sentence != "" {
			text += ": " + sentence
		}
	}
	switch {
	case strings.HasSuffix(c.Detail, "aborted"):
		text = "cut off after part of it had left: " + strings.TrimPrefix(text, "200 ")
	case strings.HasSuffix(c.Detail, "repeated"):
		text += " (told again what the first request with this key came to; the EHR was not asked)"
	case c.Intended && c.Kind == accesslog.KindAccess:
		text += ", carried out by the EHR"
	}
	return text
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
