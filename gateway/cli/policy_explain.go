package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/policies"
)

func policyExplainCommand() *cobra.Command {
	var x explaining
	c := &cobra.Command{
		Use:   "explain [DIR]",
		Short: "Tell why a call is decided as it is, and what of the answer leaves",
		Long: `Tell which rule decides about a call and which condition did not hold, by file and
line, and then of each element of the resource whether and how it leaves, and why.

The call is one of the access log (--log DIR with --seq N or --record ID, a request or
correlation id), or a file with what the policy is told (--input FILE, the form is
schemas/input.json), or what the other flags say of it.`,
		Example: "  halfdoor policy explain --role helpdesk-billing --ticket INC-1 --category billing --interaction read --type Observation\n  halfdoor policy explain --log /var/lib/halfdoor/log --record 7b1c0a8e --element Patient.telecom",
		Args:    x.bundle.one,
		RunE:    x.run,
	}
	x.reader.flags(c) // with --config, which names the bundle as well
	f := c.Flags()
	f.Int64Var(&x.seq, "seq", -1, "with --log: the record with this number: `N`")
	f.StringVar(&x.record, "record", "", "with --log: the first judged record of this request or correlation `ID`")
	f.StringVar(&x.file, "input", "", "a `FILE` with the policy's input as JSON; - is standard input")
	f.StringSliceVar(&x.in.Caller.Roles, "role", nil, "a `ROLE` of the caller; may be repeated")
	f.StringVar(&x.in.Caller.Client, "client", "", "the client's `ID`")
	f.StringVar(&x.in.Ticket.ID, "ticket", "", "the ticket's `ID`")
	f.StringVar(&x.in.Ticket.Category, "category", "", "the ticket's `CATEGORY`")
	f.StringVar(&x.in.Purpose, "purpose", "", "the purpose of use as stated: `CODE`")
	f.StringVar(&x.in.BreakGlass.Reason, "break-glass", "", "the `REASON` of emergency access")
	f.StringVar(&x.in.Request.Interaction, "interaction", "read", "read, search-type, update, …")
	f.StringVar(&x.in.Request.Type, "type", "", "the resource `TYPE`")
	f.StringVar(&x.in.Request.Operation, "operation", "", "the operation's `NAME` without its $")
	f.StringSliceVar(&x.in.Request.Parameters, "parameter", nil, "the `NAME` of a search parameter; may be repeated")
	f.StringVar(&x.in.Context.EHR, "ehr", "", "the EHR's `NAME`")
	f.StringVar(&x.in.Context.Tenant, "tenant", "", "the tenant's `NAME`")
	f.StringVar(&x.in.Network.Source, "source", "", "the caller's IP `ADDRESS`")
	f.StringVar(&x.clock, "time", "monday 9", "the gateway's weekday and hour: `\"DAY HOUR\"`")
	f.StringVar(&x.element, "element", "", "tell only of this element and what is below it: `TYPE.PATH`")
	f.BoolVar(&x.asJSON, "json", false, "as JSON")
	return c
}

// explaining is one run of the command.
type explaining struct {
	bundle bundleArg
	reader reader
	seq    int64
	record string
	file   string
	clock  string
	in     policies.Input

	element string
	asJSON  bool
	was     *accesslog.Record
	lacks   []string
}

func (x *explaining) run(c *cobra.Command, args []string) error {
	in, err := x.input(c)
	if err != nil {
		return err
	}
	if x.bundle.config = x.reader.config; len(args) > 0 {
		x.bundle.config = "" // it is for the log alone
	}
	folder, err := x.bundle.folder(args)
	if err != nil {
		return err
	}
	if _, err := tree(folder); err != nil {
		return err
	}
	engine, err := gateway.Policies(folder)
	if err != nil {
		return err
	}
	return x.print(c.OutOrStdout(), engine, in, engine.Explain(c.Context(), in))
}

// input is what the policy is asked about.
func (x *explaining) input(c *cobra.Command) (*policies.Input, error) {
	changed := c.Flags().Changed
	log := changed("log") || changed("postgres") || changed("postgres-url-file")
	switch {
	case log && x.file != "":
		return nil, usage{errors.New("--log and --input each name a call: give one")}
	case log:
		return x.recorded(c)
	case changed("seq") || changed("record"):
		return nil, usage{errors.New("--seq and --record go with --log")}
	case x.file != "":
		in := c.InOrStdin()
		if x.file != "-" {
			f, err := os.Open(x.file)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			in = f
		}
		doc, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		parsed, err := policies.ParseInput(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.file, err)
		}
		return parsed, nil
	case x.in.Request.Type == "":
		return nil, hint(usage{errors.New("no call is named")}, "use --log with --seq or --record, --input FILE, or --type with what else describes the call")
	}
	told, ok := policies.ParseTime(x.clock)
	if !ok {
		return nil, usage{fmt.Errorf("--time %q: use a weekday and an hour, as in \"monday 9\"", x.clock)}
	}
	x.in.Time, x.in.Request.HasID = told, x.in.Request.Interaction == "read"
	return &x.in, nil
}

// recorded finds the record.
func (x *explaining) recorded(c *cobra.Command) (*policies.Input, error) {
	if (x.seq >= 0) == (x.record != "") {
		return nil, usage{errors.New("--log goes with either --seq N or --record ID")}
	}
	if err := x.reader.open(c); err != nil {
		return nil, err
	}
	if x.seq >= 0 && len(x.reader.names) > 1 {
		return nil, usage{errors.New("--seq is of one log, and these are several: use --record, or the folder of one log")}
	}
	found := errors.New("found")
	err := x.reader.each(func(e accesslog.Entry) error {
		if x.seq >= 0 && e.Sequence != x.seq {
			return nil
		}
		if x.was = e.Record; x.seq >= 0 || gateway.Judged(e.Record) {
			return found
		}
		return nil
	}, accesslog.Query{Correlation: x.record})
	switch {
	case err != nil && err != found:
		return nil, err
	case x.was == nil:
		return nil, x.reader.done(errors.New("there is no such record"))
	case !gateway.Judged(x.was):
		return nil, fmt.Errorf("the call did not come as far as a policy: it is recorded as %s %s", x.was.Kind, x.was.Code)
	}
	in, lacks := gateway.Recorded(x.was)
	x.lacks = lacks
	return in, nil
}

func (x *explaining) print(out io.Writer, engine *policies.Engine, in *policies.Input, e *policies.Explanation) error {
	fates := x.fates(in, e)
	if x.asJSON {
		doc := map[string]any{"revision": engine.Revision(), "branches": e.Branches}
		if e.Err != nil {
			doc["error"] = e.Err.Error()
		} else {
			doc["allow"], doc["code"], doc["text"] = e.Decision.Allow, e.Decision.Reason.Code, e.Decision.Reason.Text
			if e.Decision.Allow {
				doc["dataset"] = e.Decision.Dataset
				doc["elements"] = fates
			}
		}
		if len(x.lacks) > 0 {
			doc["lacks"] = x.lacks
		}
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	}
	var w strings.Builder
	x.verdict(&w, engine, in, e)
	for _, b := range e.Branches {
		switch {
		case b.Decided:
			fmt.Fprintf(&w, "decided at %s:%d  %s\n", b.File, b.Line, safe(b.Text))
			for _, text := range b.Held {
				fmt.Fprintf(&w, "    holds: %s\n", safe(text))
			}
		case b.Failed != nil:
			fmt.Fprintf(&w, "not        %s:%d  %s\n", b.File, b.Line, safe(b.Text))
			conditionText(&w, *b.Failed, "    ")
		}
	}
	if e.Err == nil && e.Decision.Allow {
		leaving(&w, in.Request.Type, e.Decision, fates)
	}
	_, err := io.WriteString(out, w.String())
	return err
}

func (x *explaining) verdict(w *strings.Builder, engine *policies.Engine, in *policies.Input, e *policies.Explanation) {
	what := strings.TrimSpace(in.Request.Interaction + " " + in.Request.Type)
	switch {
	case e.Err != nil:
		fmt.Fprintf(w, "%s is refused, since there is no decision: %s\n", what, e.Err)
	case e.Decision.Allow:
		fmt.Fprintf(w, "%s is allowed as %s, with the dataset %s: %s\n", what, e.Decision.Reason.Code, e.Decision.Dataset, safe(e.Decision.Reason.Text))
	default:
		fmt.Fprintf(w, "%s is refused as %s: %s\n", what, e.Decision.Reason.Code, safe(e.Decision.Reason.Text))
	}
	if x.was == nil {
		return
	}
	for _, field := range x.lacks {
		fmt.Fprintf(w, "the record does not have %s: something made up stands for it\n", field)
	}
	if x.was.Policy.Revision != engine.Revision() {
		fmt.Fprintf(w, "the call was decided by revision %s, as %s; this is revision %s\n", safe(x.was.Policy.Revision), safe(x.was.Policy.Code), engine.Revision())
	}
}

// conditionText tells of a condition that did not hold, and why the rules that it names did not.
func conditionText(w *strings.Builder, c policies.Condition, indent string) {
	fmt.Fprintf(w, "%s%s:%d  does not hold: %s\n", indent, c.File, c.Line, safe(c.Text))
	for _, t := range c.Told {
		fmt.Fprintf(w, "%s    %s is %s\n", indent, t.Field, safe(t.Value))
	}
	if c.Absent != "" && len(c.Below) > 0 {
		fmt.Fprintf(w, "%s    since %s has no value:\n", indent, c.Absent)
	}
	for _, below := range c.Below {
		conditionText(w, below, indent+"        ")
	}
}

// fates are those of the elements that were asked about.
func (x *explaining) fates(in *policies.Input, e *policies.Explanation) []policies.Fate {
	if e.Err != nil || e.Decision.Plan == nil {
		return nil
	}
	all := gateway.Fates(e.Decision.Plan.Dataset(), in.Request.Type)
	path, ok := strings.CutPrefix(x.element, in.Request.Type+".")
	if x.element == "" || x.element == in.Request.Type {
		return all
	}
	var kept []policies.Fate
	for _, f := range all {
		if ok && (f.Path == path || strings.HasPrefix(f.Path, path+".") || strings.HasPrefix(f.Path, path+"[") || strings.HasPrefix(path, f.Path+".")) {
			kept = append(kept, f)
		}
	}
	return kept
}

func leaving(w *strings.Builder, kind string, d *policies.Decision, fates []policies.Fate) {
	fmt.Fprintf(w, "\nwhat leaves of %s, by the dataset %s, version %d:\n", kind, d.Dataset, d.Plan.Dataset().Version)
	var hidden []string
	for _, f := range fates {
		if !f.Leaves {
			hidden = append(hidden, f.Path)
			continue
		}
		fmt.Fprintf(w, "  %s %s\n", safe(f.Path), f.How)
		if f.Why != "" {
			fmt.Fprintf(w, "      %s\n", safe(f.Why))
		}
	}
	if len(hidden) > 0 {
		fmt.Fprintf(w, "what does not, since no row of the dataset names it:\n  %s\n", safe(strings.Join(hidden, ", ")))
	}
	if labels := d.DenyLabels; len(labels) > 0 {
		codes := make([]string, len(labels))
		for i, l := range labels {
			codes[i] = l.Code
		}
		fmt.Fprintf(w, "and no resource with a security label %s\n", safe(strings.Join(codes, ", ")))
	}
}
