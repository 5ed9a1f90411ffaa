// Package probe attacks a FHIR gateway as a client would, and grades what it saw.
//
// It knows nothing of how the gateway is made. It has a client's token, better also a second
// client's and one that is held to a patient, and it may be let into the EHR behind the gateway: there
// it plants canaries, values that stand nowhere else, in elements that must stay hidden, and removes
// them at its end. A canary that comes through the gateway is a leak beyond doubt, and because
// it is made up, it can be printed. Where no canary can be planted, what leaves is held against
// the dataset by the names of its elements, and no value is printed.
//
// It guarantees that
//   - it calls the given URLs and nothing else: no redirect and no link to another place is
//     followed;
//   - it ends: requests, their time and their answers are bounded;
//   - it writes to nothing but what it planted itself;
//   - its report holds no token and no value that it did not make up.
//
// A check accepts every right behaviour: a refusal, or an answer without what is hidden. What
// cannot be reached is an error and not a failed check, and so is a token that the gateway gives nothing:
// against it every check would pass.
package probe

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/transforms"
)

// Token is a bearer token. It prints as [redacted] in every form that fmt has.
type Token string

// Format implements fmt.Formatter, which every verb of fmt goes through.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") } // fmt has nowhere to tell

// Options say what to attack, and with what.
type Options struct {
	URL   string // FHIR base URL of the gateway
	Token Token  // of the client whose part the probe takes
	Other Token  // another client's: for page links that are stolen

	PatientToken Token  // held to one patient's compartment
	Patient      string // that patient's id at the EHR

	// EHR is the base URL of the EHR behind the gateway, to plant canaries in. Without it, the
	// checks that need one are not run.
	EHR      string
	EHRToken Token

	// Dataset is what may leave to Token; nil is Baseline.
	Dataset *transforms.Dataset

	Roots   *x509.CertPool // whom to trust; nil is the system's
	Header  http.Header    // sent with each request that has a token: a ticket, a purpose of use
	Only    []string       // checks to run, as patterns of path.Match; default all
	Timeout time.Duration  // of one request; default 10 s
	Slow    time.Duration  // how long a gateway may bear a client that sends nothing; default 35 s
	Limit   time.Duration  // of the whole run; default 3 minutes
	Most    int            // requests; default 4000
	Random  io.Reader      // default crypto/rand
}

// ErrUsage is of options that cannot be understood.
var ErrUsage = errors.New("wrong use")

// Unreachable is of a gateway or an EHR that does not answer, or gives nothing to the token.
type Unreachable struct {
	What string // "gateway", "EHR"
	Err  error
}

func (e *Unreachable) Error() string { return e.What + ": " + e.Err.Error() }

func (e *Unreachable) Unwrap() error { return e.Err }

// Run plants canaries, makes every check, and removes the canaries again, also where ctx ended.
// Its error means that the gateway could not be graded.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	r, err := begin(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Limit)
	defer cancel()
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	if r.ehr != nil {
		defer func() {
			left := r.ehr.unplant(context.WithoutCancel(ctx), r.canaries)
			if len(left) > 0 {
				err = errors.Join(err, &Unreachable{What: "EHR", Err: fmt.Errorf("canaries could not be removed: %s", strings.Join(left, ", "))})
			}
		}()
		if err := r.plant(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.gather(ctx); err != nil {
		return nil, err
	}
	report := &Report{URL: r.target.base.String(), Dataset: r.o.Dataset.Name, Canaries: len(r.canaries.all), Notes: r.notes}
	slow := r.beginSlow(ctx)
	defer slow.end()
	for _, c := range r.chosen {
		report.Results = append(report.Results, r.try(ctx, c))
		if r.target.fatal != nil {
			return nil, r.target.fatal
		}
	}
	report.Requests = r.target.sent
	return report, nil
}

// run is one run of the probe.
type run struct {
	o      Options
	target *target
	ehr    *ehr // nil where none was named
	judge  *judge
	chosen []Check
	slow   *slowClients

	canaries *canaries
	ids      map[string]string // the gateway's ids of what was planted, by its key; the EHR's where it showed none
	found    map[string]bool   // those that the gateway showed
	self     string            // the gateway's id of the patient whom PatientToken is held to
	plain    []answer          // answers to what a client may ask
	notes    []string
}

func begin(o Options) (*run, error) {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Slow = cmp.Or(o.Slow, 35*time.Second)
	o.Limit = cmp.Or(o.Limit, 3*time.Minute)
	o.Most = cmp.Or(o.Most, 4000)
	if o.Random == nil {
		o.Random = rand.Reader
	}
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: the gateway's URL: %w", ErrUsage, err)
	}
	if o.Token == "" {
		return nil, fmt.Errorf("%w: a client's token is needed", ErrUsage)
	}
	if o.Dataset == nil {
		if o.Dataset, err = Baseline(); err != nil {
			return nil, err
		}
	}
	j, err := newJudge(o.Dataset, base.String())
	if err != nil {
		return nil, fmt.Errorf("%w: the dataset: %w", ErrUsage, err)
	}
	name := make([]byte, 4)
	if _, err := io.ReadFull(o.Random, name); err != nil {
		return nil, err
	}
	r := &run{o: o, judge: j, target: newTarget(base, o), canaries: newCanaries("hdc" + hex.EncodeToString(name)),
		ids: map[string]string{}, found: map[string]bool{}}
	if o.EHR != "" {
		at, err := baseURL(o.EHR)
		if err != nil {
			return nil, fmt.Errorf("%w: the EHR's URL: %w", ErrUsage, err)
		}
		r.ehr = newEHR(at, o)
	}
	for _, c := range Checks() {
		for _, pattern := range o.Only {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("%w: pattern %q", ErrUsage, pattern)
			}
		}
		if c.chosen(o.Only) {
			r.chosen = append(r.chosen, c)
		}
	}
	if len(r.chosen) == 0 {
		return nil, fmt.Errorf("%w: no check is named %s", ErrUsage, strings.Join(o.Only, ", "))
	}
	return r, nil
}

func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q is not an http or https base URL", s)
	}
	return u, nil
}

// reach asks for what every FHIR server shows without a token.
func (r *run) reach(ctx context.Context) error {
	a := r.target.send(ctx, request{path: "/metadata"})
	if r.target.fatal != nil {
		return r.target.fatal
	}
	if a.err != nil {
		return &Unreachable{What: "gateway", Err: a.err}
	}
	return nil
}
