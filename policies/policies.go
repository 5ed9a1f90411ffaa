// Package policies asks Rego whether a call is allowed, and by which dataset its answer is filtered.
//
// A bundle is a tree of files as OPA's own tools read it: Rego (v1) modules, and data in files named data.yaml or
// data.json whose folder gives the path. [Default] is the one inside the program. [Load] compiles a bundle, its
// datasets included, into an [Engine], which never changes and serves any number of calls at once; a changed bundle is
// a new Engine.
//
// What a policy can do is narrow. It is compiled in OPA's strict mode and checked against the schema of the input, so
// that a misspelt field of the input does not compile. It is a function of the input and the data alone: the built-ins
// that reach the network, the clock, chance or the process are not there.
//
// The package refuses when unsure. [Engine.Decide] returns an error, and the gateway refuses the call, if the rule
// data.halfdoor.decision is undefined, yields two values, fails in a built-in, takes longer than its budget, says
// anything that [Decision] does not know, or names a dataset that the bundle does not have. Its errors hold places in
// the policy and never what the policy was told.
package policies

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/halfdoor/halfdoor/transforms"
)

// Options say what an [Engine] is made from.
type Options struct {
	// Bundle is the bundle's tree. Default: [Default].
	Bundle fs.FS
	// Compartment tells which elements of a resource name its patients; plans report and narrow by it. Required.
	Compartment transforms.Compartment
	// Check says what else is wrong with a dataset, which this package cannot know: whether its types, elements and search
	// parameters are FHIR's. An error begins with its place, as those of package transforms do ("Patient.birthdate: …",
	// "search: …"). Default: nothing.
	Check func(*transforms.Dataset) []error
	// Budget is the longest that one decision may take before it counts as failed. Default 1 s. The decisions of the
	// default bundle take less than a millisecond; the rest is for a container that is not given the processor for a while.
	Budget time.Duration
	// NoCache has every call decided by running the rules, which is for measuring and for looking at how a decision comes about.
	NoCache bool
}

// DefaultBudget is what a decision may take if Options.Budget is not set.
const DefaultBudget = time.Second

// Engine is one revision of the policy, with its datasets compiled. It is immutable and safe for concurrent use.
type Engine struct {
	revision string
	budget   time.Duration
	question *question
	plans    map[string]*transforms.Plan
	labels   []transforms.Label
	offers   []Offer
	switched map[[2]string]string // why, by kind and name

	reads    leaves
	unsteady string // why decisions are not remembered, or ""
	cache    *cache // nil: they are not

	remembered, evaluated atomic.Uint64
}

// Load reads and compiles a bundle. It reports every problem that it finds at once: the error joins a [*Problem] for
// each. Nothing of the policy is run.
func Load(o Options) (*Engine, error) {
	if len(o.Compartment) == 0 {
		return nil, errors.New("policies: the patient compartment is required")
	}
	if o.Budget < 0 {
		return nil, errors.New("policies: the budget of a decision must be positive")
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.Bundle == nil {
		o.Bundle = Default()
	}

	var found problems
	src := read(o.Bundle, &found)
	plans := compilePlans(src, o, &found)
	labels := statedLabels(src, &found)
	switched := statedSwitches(src, &found)
	store := src.store()
	compiler := compile(src.live, store, &found)
	if err := found.err(); err != nil {
		return nil, err
	}

	question, err := newQuestion(compiler, store)
	if err != nil {
		return nil, &Problem{Text: err.Error()}
	}
	e := &Engine{
		revision: src.revision(), budget: o.Budget, question: question, plans: plans, labels: labels, offers: statedOffers(src), switched: switched,
		unsteady: unsteady(compiler),
	}
	if e.reads, err = reads(compiler); err != nil {
		return nil, &Problem{Text: err.Error()}
	}
	if e.unsteady == "" && !o.NoCache {
		e.cache = newCache()
	}
	return e, nil
}

// Revision names the policy and its datasets: the revision that the bundle's manifest states, if it does, then "+", and
// always the start of a hash over the files. Two bundles that decide or filter differently never share one.
func (e *Engine) Revision() string { return e.revision }

// StatedLabels are the security labels that the bundle keeps at data.halfdoor.deny_labels for its rules. What a call is
// really denied is for the rules to say; this is for showing a dataset without a call.
func (e *Engine) StatedLabels() []transforms.Label { return slices.Clone(e.labels) }

// Datasets lists the names of the datasets, sorted.
func (e *Engine) Datasets() []string { return slices.Sorted(maps.Keys(e.plans)) }

// Plan is the compiled dataset of that name.
func (e *Engine) Plan(name string) (*transforms.Plan, bool) {
	p, ok := e.plans[name]
	return p, ok
}
