package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A patient is whom a question is about, by each name that records have.
type patient struct {
	reader
	ehr, client string
	hasher      *accesslog.Hasher // with --config
	names       []string          // keyed hashes, or tokens that no record resolves
}

func (p *patient) flags(c *cobra.Command) {
	p.reader.flags(c)
	c.Flags().StringVar(&p.ehr, "ehr", "", "with --config: the `NAME` of the patient's EHR; default each")
	c.Flags().StringVar(&p.client, "client", "", "of a token: the `ID` of the client that holds it")
}

const patientHelp = `PATIENT is a token as a helpdesk app was given it (--client says which app), the
keyed hash that records hold (behind "--" where it begins with a dash), or with
--config the patient's real id at the EHR. A token is followed to the patient's hash by the record of its disclosure, so
that what other apps saw is found as well; the token keys are not needed.`

// find opens the logs and finds the names of the patient. It refuses where an empty answer would mean no
// more than that the name is not known.
func (p *patient) find(c *cobra.Command, name string) error {
	name = strings.TrimPrefix(name, "Patient/")
	if name == "" {
		return usage{errors.New("the argument is empty")}
	}
	for _, flag := range []string{"config", "ehr", "client"} {
		if f := c.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
			return usage{fmt.Errorf("--%s is empty", flag)}
		}
	}
	if p.ehr != "" && p.config == "" {
		return usage{errors.New("--ehr needs --config")}
	}
	hash := len(name) == 22
	if !patientName.MatchString(name) && p.config == "" {
		return hint(usage{errors.New("the patient is named by neither a token nor a keyed hash")}, "with --config it takes the patient's real id at the EHR")
	}
	if p.config != "" {
		queries, hasher, err := byRealID(p.config, p.ehr, accesslog.Query{Patient: name})
		if err != nil {
			return err
		}
		p.hasher = hasher
		if len(queries) == 1 {
			return usage{fmt.Errorf("--ehr %q: the configuration has no such EHR", p.ehr)}
		}
		for _, q := range queries[1:] {
			p.names = append(p.names, q.Patient)
		}
	}
	p.about = slices.Clone(p.names)
	if patientName.MatchString(name) {
		p.about = append(p.about, name)
	}
	if err := p.open(c, name); err != nil {
		return err
	}
	if !patientName.MatchString(name) {
		return nil
	}
	if hash {
		p.names = append(p.names, name)
		return nil
	}
	found, err := p.follow(name)
	if err == nil && !found && p.config == "" {
		err = errors.New("no record says that this token was given out, so nothing can be said of its patient")
	}
	if err != nil {
		return p.done(err)
	}
	p.damage = nil // it is found again when the question is answered
	return nil
}

var errFound = errors.New("found")

// follow finds the hash of the patient whom a token names: a record names its patients in the order in which it
// names their tokens.
func (p *patient) follow(token string) (bool, error) {
	reference := "Patient/" + token
	since, until := p.from, p.to
	p.from, p.to = time.Time{}, time.Time{} // it may have been given out before
	defer func() { p.from, p.to = since, until }()
	err := p.each(func(e accesslog.Entry) error {
		if p.client != "" && e.Actor.Client != p.client {
			return nil
		}
		at := slices.Index(patientsOf(e.Record), reference)
		if at < 0 {
			return nil
		}
		p.names = append(p.names, e.Patients[at])
		return errFound
	}, accesslog.Query{Patient: token})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// records visits what names the patient.
func (p *patient) records(visit func(accesslog.Entry) error) error {
	var queries []accesslog.Query
	for _, n := range p.names {
		queries = append(queries, accesslog.Query{Patient: n})
	}
	return p.each(func(e accesslog.Entry) error {
		if !slices.ContainsFunc(p.names, func(n string) bool { return slices.Contains(e.Patients, n) }) {
			return nil
		}
		return visit(e)
	}, queries...)
}

// denied visits the refusals of calls that asked for the patient: by a token that any record says was
// given out for them, as the id of what was asked for or, with the key of the hashes, as a parameter's value.
func (p *patient) denied(visit func(accesslog.Entry) error) error {
	tokens := map[string]bool{}
	since, until := p.from, p.to
	p.from, p.to = time.Time{}, time.Time{} // it may have been given out before
	err := p.records(func(e accesslog.Entry) error {
		for i, reference := range patientsOf(e.Record) {
			if slices.Contains(p.names, e.Patients[i]) {
				tokens[reference] = true
			}
		}
		return nil
	})
	p.from, p.to = since, until
	if err != nil {
		return err
	}
	var queries []accesslog.Query
	for reference := range tokens {
		queries = append(queries, accesslog.Query{Patient: reference})
		if p.hasher != nil {
			queries = append(queries, accesslog.Query{Value: p.hasher.Hash(reference)}, accesslog.Query{Value: p.hasher.Hash(strings.TrimPrefix(reference, "Patient/"))})
		}
	}
	for _, n := range p.names {
		queries = append(queries, accesslog.Query{Patient: n})
	}
	return p.each(func(e accesslog.Entry) error {
		if e.Kind != accesslog.KindRefusal {
			return nil
		}
		return visit(e)
	}, queries...)
}

// patientsOf are the references of the patients that a record names, in the order of their hashes; none
// where they do not correspond.
func patientsOf(r *accesslog.Record) []string {
	var all []string
	for _, s := range r.Subjects {
		if strings.HasPrefix(s, "Patient/") {
			all = append(all, s)
		}
	}
	if len(all) != len(r.Patients) {
		return nil
	}
	return all
}

// discloses says whether what the record names has been released.
func discloses(r *accesslog.Record) bool {
	return r.Kind == accesslog.KindAccess || r.Kind == accesslog.KindRelease || r.Kind == accesslog.KindClose
}

// A viewing is what one actor saw of a patient under one ticket and purpose.
type viewing struct {
	Subject string    `json:"subject,omitzero"`
	Issuer  string    `json:"issuer,omitzero"`
	Client  string    `json:"client,omitzero"`
	Ticket  string    `json:"ticket,omitzero"`
	Purpose string    `json:"purpose,omitzero"`
	EHR     string    `json:"ehr,omitzero"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Seen    int       `json:"seen"`             // calls that something was released by
	Writes  int       `json:"writes"`           // that were to be carried out
	Refused int       `json:"refused,omitzero"` // calls about the patient that were refused, where asked for
}

func whoSawCommand() *cobra.Command {
	var p patient
	var lines, refused bool
	c := &cobra.Command{
		Use:   "who-saw PATIENT --log DIR",
		Short: "Say who saw a patient's data, when, how often and why",
		Long: `Print who was told of a patient: a row for each person, app, ticket and purpose,
with the first and the last time, how many calls released something (SEEN) and
how many writes were about to be carried out (WRITES). A call that was refused
released nothing and is not counted.

With --refused, those who asked for the patient and were refused are listed
too, with how often (REFUSED): who named one of the patient's tokens as the id of what
they asked for or, which only --config can tell, as a parameter of a search.

` + patientHelp,
		Example: "  halfdoor audit who-saw 12345 --log LOG --config halfdoor.yaml --ehr main\n  halfdoor audit who-saw Patient/tA… --client helpdesk --log LOG",
		Args:    oneArg("PATIENT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.find(c, args[0]); err != nil {
				return err
			}
			type key struct{ subject, issuer, client, ticket, purpose, ehr string }
			seen := map[key]*viewing{}
			var all []*viewing
			count := func(e accesslog.Entry) error {
				released, intent := discloses(e.Record), e.Kind == accesslog.KindIntent
				denied := e.Kind == accesslog.KindRefusal
				if !released && !intent && !denied {
					return nil
				}
				k := key{e.Actor.Subject, e.Actor.Issuer, e.Actor.Client, e.Ticket.ID, e.Purpose, e.EHR}
				v := seen[k]
				if v == nil {
					v = &viewing{k.subject, k.issuer, k.client, k.ticket, k.purpose, k.ehr, e.Time, e.Time, 0, 0, 0}
					seen[k] = v
					all = append(all, v)
				}
				if e.Time.After(v.Last) {
					v.Last = e.Time
				}
				if e.Time.Before(v.First) {
					v.First = e.Time
				}
				switch {
				case released:
					v.Seen++
				case denied:
					v.Refused++
				default:
					v.Writes++
				}
				return nil
			}
			err := p.records(func(e accesslog.Entry) error {
				if e.Kind == accesslog.KindRefusal {
					return nil
				}
				return count(e)
			})
			if err == nil && refused {
				err = p.denied(count)
			}
			if err != nil {
				return p.done(err)
			}
			if lines {
				for _, v := range all {
					if err := printLine(c.OutOrStdout(), v); err != nil {
						return err
					}
				}
				return p.done(nil)
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			column := func(text string) string {
				if refused {
					return "\t" + text
				}
				return ""
			}
			fmt.Fprintln(w, "FIRST\tLAST\tSEEN\tWRITES"+column("REFUSED")+"\tSUBJECT\tCLIENT\tTICKET\tPURPOSE\tEHR")
			for _, v := range all {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d%s\t%s\t%s\t%s\t%s\t%s\n", v.First.Format(time.RFC3339), v.Last.Format(time.RFC3339), v.Seen, v.Writes, column(strconv.Itoa(v.Refused)),
					safe(v.Subject), safe(v.Client), safe(v.Ticket), safe(v.Purpose), safe(v.EHR))
			}
			return p.done(w.Flush())
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&lines, "json", false, "a line of JSON for each row")
	c.Flags().BoolVar(&refused, "refused", false, "list refused calls about the patient as well")
	return c
}
