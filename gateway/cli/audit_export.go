package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/balp"
)

func exportCommand() *cobra.Command {
	var p patient
	var format, name string
	var kinds []string
	var bundle bool
	c := &cobra.Command{
		Use:   "export --log DIR --format fhir",
		Short: "Write records as FHIR AuditEvents (IHE BALP)",
		Long: `Write the records as FHIR R4 AuditEvents by the patterns of IHE's Basic Audit Log
Patterns (BALP 1.1.4): PatientRead, PatientQuery, PatientCreate, PatientUpdate,
PatientDelete, and Read, Query, … where a record names no patient. What has no
pattern (refusals, histories, operations, administrative acts) is an AuditEvent
that claims none. A record of several patients is an event for each of them.

An event holds no more than its record: a patient is a keyed hash, a resource a
client's token, and entity[query].query is the request with each value as its
keyed hash, not the request as it was sent. The last entity names the record.

Events are lines of JSON (application/fhir+ndjson), oldest first; --bundle makes
one Bundle of them. An export that is made again has the same ids. --kind takes
` + kindNames() + `.

--patient: ` + patientHelp,
		Example: "  halfdoor audit export --log LOG --format fhir --since 2026-03-01 > march.ndjson\n  halfdoor audit export --log LOG --format fhir --patient 12345 --config halfdoor.yaml --bundle",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "fhir" {
				return usage{fmt.Errorf("--format %q: use fhir", format)}
			}
			for _, k := range kinds {
				if !slices.Contains(balp.Kinds(), balp.Kind(k)) {
					return usage{fmt.Errorf("--kind %q: use %s", k, kindNames())}
				}
			}
			var err error
			if c.Flags().Changed("patient") {
				err = p.find(c, name)
			} else {
				err = p.open(c)
			}
			if err != nil {
				return err
			}
			x := exporter{w: c.OutOrStdout(), kinds: kinds, bundle: bundle, patients: p.names, mappers: map[string]*balp.Mapper{}}
			if err := x.begin(&p); err != nil {
				return err
			}
			if len(p.names) > 0 {
				err = p.records(x.add)
			} else {
				err = p.each(x.add)
			}
			if err == nil && !p.incomplete() {
				err = x.end()
			}
			return p.done(err)
		},
	}
	p.flags(c)
	f := c.Flags()
	f.StringVar(&format, "format", "fhir", "fhir: AuditEvents of FHIR R4")
	f.StringVar(&name, "patient", "", "events of this `PATIENT` alone")
	f.StringSliceVar(&kinds, "kind", nil, "events of these `KINDS` alone")
	f.BoolVar(&bundle, "bundle", false, "one Bundle instead of a line for each event")
	return c
}

func kindNames() string {
	var all []string
	for _, k := range balp.Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}

// An exporter writes the events of records as they come.
type exporter struct {
	w        io.Writer
	kinds    []string
	patients []string
	bundle   bool
	mappers  map[string]*balp.Mapper // of each log
	written  int
}

// begin learns the names of the logs and of the gateway.
func (x *exporter) begin(p *patient) error {
	host := ""
	if p.config != "" {
		cfg, err := load(p.config)
		if err != nil {
			return err
		}
		if u, err := url.Parse(cfg.PublicURL); err == nil {
			host = u.Hostname()
		}
	}
	for i, log := range p.reader.names {
		origin, err := p.originOf(i)
		if err != nil {
			return err
		}
		m, err := balp.New(balp.Options{Origin: origin, Host: host, Sentence: gateway.Sentence})
		if err != nil {
			return err
		}
		if len(p.reader.names) == 1 {
			log = "" // as an entry has it
		}
		x.mappers[log] = m
	}
	if !x.bundle {
		return nil
	}
	_, err := io.WriteString(x.w, `{"resourceType":"Bundle","type":"collection"`)
	return err
}

func (x *exporter) add(e accesslog.Entry) error {
	return x.mappers[e.Log].Each(e.Record, x.patients, func(event *balp.Event) error {
		if len(x.kinds) > 0 && !slices.Contains(x.kinds, string(event.Kind)) {
			return nil
		}
		if x.written++; !x.bundle {
			return printLine(x.w, event)
		}
		var line bytes.Buffer
		line.WriteString(",\n")
		if x.written == 1 {
			line.Reset()
			line.WriteString(",\"entry\":[\n")
		}
		fmt.Fprintf(&line, `{"fullUrl":"urn:uuid:%s","resource":`, event.ID)
		body, err := json.Marshal(event)
		if err != nil {
			return err
		}
		line.Write(body)
		line.WriteByte('}')
		_, err = x.w.Write(line.Bytes())
		return err
	})
}

// end closes a Bundle. That of a log of which part could not be read is left open: nobody can take it for whole.
func (x *exporter) end() error {
	if !x.bundle {
		return nil
	}
	text := "}\n"
	if x.written > 0 {
		text = "\n]}\n"
	}
	_, err := io.WriteString(x.w, text)
	return err
}
