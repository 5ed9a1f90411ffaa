package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify and search the access log",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(verifyCommand(), queryCommand(), traceCommand(), ticketCommand(), whoSawCommand(), disclosuresCommand(), proveCommand(), checkProofCommand(), anomaliesCommand(), exportCommand(), indexCommand(), schemaCommand(), repairCommand(), rotateKeyCommand())
	return c
}

func logFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "log", "", "the access log's folder: `DIR`")
	_ = c.MarkFlagDirname("log") // the flag is there
}

func interactive(f *os.File) bool {
	s, err := f.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0
}

func queryCommand() *cobra.Command {
	var (
		r           reader
		ehr, format string
		q           accesslog.Query
	)
	c := &cobra.Command{
		Use:   "query --log DIR",
		Short: "Find access records",
		Long: `Print the records that fit every given condition, oldest first, as JSON Lines or
as a table.

--patient takes a token as a helpdesk app was given it ("tA…" or "Patient/tA…")
or the keyed hash that records hold. With --config, it also takes the patient's
real id at the EHR: the configuration has the key of the hash.

DIR may hold the logs of several replicas, each in a folder of its own.`,
		Example: "  halfdoor audit query --log LOG --ticket INC-4711 --format table\n  halfdoor audit query --log LOG --config halfdoor.yaml --patient 12345 --since 2026-01-01",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "jsonl" && format != "table" {
				return usage{fmt.Errorf("--format %q: use jsonl or table", format)}
			}
			if err := asked(c, &q, r.config); err != nil {
				return err
			}
			var err error
			queries := []accesslog.Query{q}
			if r.config != "" && q.Patient != "" {
				if queries, _, err = byRealID(r.config, ehr, q); err != nil {
					return err
				}
				for _, hashed := range queries[1:] {
					r.about = append(r.about, hashed.Patient)
				}
			}
			if name := q.Patient[strings.LastIndexByte(q.Patient, '/')+1:]; patientName.MatchString(name) {
				r.about = append(r.about, name)
			}
			if err := r.open(c); err != nil {
				return err
			}
			if format == "table" {
				return r.done(printTable(c, &r, queries))
			}
			return r.done(r.each(func(e accesslog.Entry) error { return printLine(c.OutOrStdout(), e.Record) }, queries...))
		},
	}
	r.flags(c)
	f := c.Flags()
	f.StringVar(&q.Ticket, "ticket", "", "records of this ticket `ID`")
	f.StringVar(&q.Correlation, "correlation", "", "records of this correlation or request `ID`")
	f.StringVar(&q.Actor, "actor", "", "records of this subject or client `ID`")
	f.StringVar(&q.Patient, "patient", "", "records that name this patient: a token, a keyed hash, or with --config the real `ID`")
	f.BoolVar(&q.BreakGlass, "break-glass", false, "records of calls that asked for emergency access, whatever came of it")
	f.StringVar(&format, "format", "jsonl", "jsonl or table")
	f.StringVar(&ehr, "ehr", "", "with --config: the `NAME` of the patient's EHR; default each")
	return c
}

// asked refuses a question whose empty answer would be taken for "nobody", and one whose
// condition is empty, as an unset variable makes it, and would be answered with everything.
func asked(c *cobra.Command, q *accesslog.Query, config string) error {
	for _, name := range []string{"ticket", "correlation", "actor", "patient"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usage{fmt.Errorf("--%s is empty", name)}
		}
	}
	if q.Patient != "" && config == "" && !patientName.MatchString(q.Patient) {
		return hint(usage{errors.New("--patient is neither a token nor a keyed hash")}, "with --config it takes the patient's real id at the EHR")
	}
	return nil
}

// patientName is a token of the vault's, with its type or without, or a keyed hash of the log's.
var patientName = regexp.MustCompile(`^(([A-Z][A-Za-z]*/)?[tv][0-9A-Za-z]{20,63}|[0-9A-Za-z_-]{22})$`)

// moment reads a date, which is its first instant in UTC, or a time.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date (2026-01-31) and no RFC 3339 time", s)
}

// byRealID asks for the patient's hash at each EHR beside what was asked already.
func byRealID(config, ehr string, q accesslog.Query) ([]accesslog.Query, *accesslog.Hasher, error) {
	cfg, err := load(config)
	if err != nil {
		return nil, nil, err
	}
	hasher, err := accesslog.NewHasher(cfg.AccessLog.PatientKey.Bytes())
	if err != nil {
		return nil, nil, err
	}
	queries := []accesslog.Query{q}
	for _, e := range cfg.EHRs {
		if ehr == "" || ehr == e.Name {
			hashed := q
			hashed.Patient = hasher.Patient(e.Name, strings.TrimPrefix(q.Patient, "Patient/"))
			queries = append(queries, hashed)
		}
	}
	return queries, hasher, nil
}

func printTable(c *cobra.Command, r *reader, queries []accesslog.Query) error {
	w := newTable(c.OutOrStdout())
	if err := w.row("SEQ", "TIME", "KIND", "STATUS", "CODE", "CLIENT", "SUBJECT", "WHAT", "TICKET", "DATASET", "PATIENTS", "CORRELATION"); err != nil {
		return err
	}
	err := r.each(func(e accesslog.Entry) error {
		what := strings.Trim(e.Request.Interaction+" "+e.Request.Type, " ")
		return w.row(e.Place(), e.Time.Format(time.RFC3339), string(e.Kind), strconv.Itoa(e.Status), safe(e.Code), safe(e.Actor.Client), safe(e.Actor.Subject),
			what, safe(e.Ticket.ID), safe(e.Policy.Dataset), strconv.Itoa(len(e.Patients)), safe(e.Correlation))
	}, queries...)
	return errors.Join(err, w.end())
}
