package cli

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A disclosure is a row of an accounting: 45 CFR 164.528(b)(2) asks for the date, who received, what, and why.
type disclosure struct{ Date, Recipient, What, Why, Record string }

var disclosureHead = disclosure{"Date", "Recipient", "What was disclosed", "Purpose", "Record"}

func (d disclosure) cells() []string { return []string{d.Date, d.Recipient, d.What, d.Why, d.Record} }

func disclosureOf(e accesslog.Entry) disclosure {
	d := disclosure{Date: e.Time.Format(time.RFC3339), Recipient: by(&e.Actor), Record: e.Place()}
	var kinds []string
	for _, s := range e.Subjects {
		if kind, _, ok := strings.Cut(s, "/"); ok && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	d.What = cmp.Or(strings.Join(kinds, ", "), e.Request.Type)
	switch q := &e.Request; {
	case q.Operation != "":
		d.What += ", answered to $" + q.Operation
	case q.Interaction != "":
		d.What += ", " + cmp.Or(had[q.Interaction], q.Interaction)
	}
	if e.Policy.Dataset != "" {
		d.What += fmt.Sprintf(" (minimum dataset %s, version %d)", e.Policy.Dataset, e.Policy.Version)
	}
	if e.EHR != "" {
		d.What += ", at the EHR " + e.EHR
	}
	c := call{Purpose: e.Purpose, Ticket: e.Ticket, BreakGlass: e.BreakGlass, Detail: e.Detail}
	if c.Purpose != "" {
		c.Purpose = purposeInWords(c.Purpose)
	}
	d.Why = c.because() + because(e.Reason)
	return d
}

func disclosuresCommand() *cobra.Command {
	var p patient
	var years int
	var format string
	var without []string
	c := &cobra.Command{
		Use:   "disclosures PATIENT --log DIR",
		Short: "Account for the disclosures of a patient's data (45 CFR 164.528)",
		Long: `List each disclosure of a patient's data: date, who received it, what, and why, as
45 CFR 164.528 has an accounting. --years 6, the default, is how far back that
goes. --format html is a page to print, csv is for a spreadsheet.

The rule leaves out what was disclosed for treatment, payment and operations:
--without TREAT,HPAYMT,HOPERAT does so by the purpose in the records. Without it
everything is listed. What of a resource left is what its minimum dataset keeps.
A row that names several types may be of other patients' resources in part: the
records say whom an answer was about, not which part of it.

` + patientHelp,
		Example: "  halfdoor audit disclosures 12345 --log LOG --config halfdoor.yaml --years 6 --format html > accounting.html",
		Args:    oneArg("PATIENT"),
		RunE: func(c *cobra.Command, args []string) error {
			if years < 1 || years > 100 {
				return usage{fmt.Errorf("--years %d: from 1 to 100", years)}
			}
			var rows rows
			w := c.OutOrStdout()
			switch format {
			case "table":
				rows = tableRows{newTable(w)}
			case "csv":
				rows = csvRows{csv.NewWriter(w)}
			case "html":
				rows = &htmlRows{w: w, Patient: args[0], Made: time.Now().UTC().Format(time.RFC3339)}
			default:
				return usage{fmt.Errorf("--format %q: use table, csv or html", format)}
			}
			if err := p.find(c, args[0]); err != nil {
				return err
			}
			if p.from.IsZero() {
				p.from = time.Now().UTC().AddDate(-years, 0, 0)
			}
			if page, ok := rows.(*htmlRows); ok {
				page.Since, page.Limits = p.from.Format(time.DateOnly), p.limits
			}
			err := rows.begin()
			if err == nil {
				err = p.records(func(e accesslog.Entry) error {
					if !discloses(e.Record) || slices.Contains(without, e.Purpose) {
						return nil
					}
					return rows.row(disclosureOf(e))
				})
			}
			if err == nil {
				err = rows.end(p.incomplete())
			}
			return p.done(err)
		},
	}
	p.flags(c)
	c.Flags().IntVar(&years, "years", 6, "how many `YEARS` back; --since takes its place")
	c.Flags().StringVar(&format, "format", "table", "table, csv or html")
	c.Flags().StringSliceVar(&without, "without", nil, "leave out these `PURPOSES` of use")
	return c
}

// rows writes disclosures one after the other.
type rows interface {
	begin() error
	row(disclosure) error
	end(incomplete bool) error
}

type tableRows struct{ *table }

func (t tableRows) begin() error { return t.row(disclosureHead) }

func (t tableRows) row(d disclosure) error {
	cells := d.cells()
	for i := range cells {
		cells[i] = safe(cells[i])
	}
	return t.table.row(cells...)
}

func (t tableRows) end(bool) error { return t.table.end() }

type csvRows struct{ *csv.Writer }

func (c csvRows) begin() error { return c.row(disclosureHead) }

// row keeps a spreadsheet from taking a client's text for a formula.
func (c csvRows) row(d disclosure) error {
	cells := d.cells()
	for i, cell := range cells {
		if cells[i] = safe(cell); strings.IndexAny(cell, "=+-@") == 0 {
			cells[i] = "'" + cells[i]
		}
	}
	return c.Write(cells)
}

func (c csvRows) end(bool) error {
	c.Flush()
	return c.Error()
}

// htmlRows is a page that needs nothing besides itself; html/template escapes what clients wrote.
type htmlRows struct {
	w                    io.Writer
	Patient, Since, Made string
	Limits               []string
	Count                int
	Incomplete           bool
}

var disclosurePage = template.Must(template.New("begin").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Accounting of disclosures</title>
<style>body{font:11pt/1.4 serif;margin:2em}table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.3em .5em;text-align:left;vertical-align:top}td{overflow-wrap:anywhere}td:first-child{white-space:nowrap;overflow-wrap:normal}thead{display:table-header-group}tr{break-inside:avoid}</style></head>
<body><h1>Accounting of disclosures</h1>
<p>Patient {{.Patient}}. Disclosures since {{.Since}}, by the access log of the gateway. Made {{.Made}}. (45 CFR 164.528)</p>
{{range .Limits}}<p>Note: {{.}}.</p>
{{end}}<table><thead><tr><th>Date</th><th>Recipient</th><th>What was disclosed</th><th>Purpose</th><th>Record</th></tr></thead><tbody>
{{define "row"}}<tr><td>{{.Date}}</td><td>{{.Recipient}}</td><td>{{.What}}</td><td>{{.Why}}</td><td>{{.Record}}</td></tr>
{{end}}{{define "end"}}</tbody></table>
<p>{{.Count}} disclosures.{{if .Incomplete}} <strong>Part of the log could not be read: this list is incomplete.</strong>{{end}}</p></body></html>
{{end}}`))

func (h *htmlRows) begin() error { return disclosurePage.Execute(h.w, h) }

func (h *htmlRows) row(d disclosure) error {
	h.Count++
	return disclosurePage.ExecuteTemplate(h.w, "row", d)
}

func (h *htmlRows) end(incomplete bool) error {
	h.Incomplete = incomplete
	return disclosurePage.ExecuteTemplate(h.w, "end", h)
}
