package policies

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Shadow asks a candidate about the calls that another engine decides, and counts where the two differ. It has no effect
// on a call: one is handed over without waiting, or dropped where too many wait already.
type Shadow struct {
	candidate *Engine
	differs   func(Difference)
	queue     chan judged
	stop      context.CancelFunc
	done      chan struct{}
	compared  func() // after each call; only a test has it

	mu     sync.Mutex
	counts ShadowCounts
}

// ShadowOptions say what a [Shadow] is made from.
type ShadowOptions struct {
	// Candidate is the engine that is asked besides. Required.
	Candidate *Engine
	// Differs is told of each difference, by one goroutine. Default: nobody.
	Differs func(Difference)
	// Queue is how many calls may wait to be compared. Default 1024.
	Queue int
}

// ShadowKind says in what two decisions differ; where they differ in several things, the first of these.
type ShadowKind string

// The kinds of differences.
const (
	ShadowRefuses ShadowKind = "refuses" // the candidate refuses what is allowed
	ShadowAllows  ShadowKind = "allows"  // the candidate allows what is refused
	ShadowFails   ShadowKind = "fails"   // the candidate has no decision; what the live policy cannot decide is not compared
	ShadowDataset ShadowKind = "dataset" // what leaves is another dataset
	ShadowLabels  ShadowKind = "labels"  // other labels are withheld
	ShadowTerms   ShadowKind = "terms"   // another purpose, patient, obligation, or emergency
	ShadowReason  ShadowKind = "reason"  // another code
)

// ShadowKinds are all of them, the weightiest first.
func ShadowKinds() []ShadowKind {
	return []ShadowKind{ShadowAllows, ShadowRefuses, ShadowFails, ShadowDataset, ShadowLabels, ShadowTerms, ShadowReason}
}

// Difference is one call on which two engines differ: names and codes alone, nothing of a patient.
type Difference struct {
	Kind                      ShadowKind
	Client, Interaction, Type string
	LiveDataset, Dataset      string
	LiveReason, Reason        string // codes; the candidate's is empty if it fails
	LiveRevision, ItsRevision string
}

// ShadowCounts are what was found since the live policy or the candidate last changed.
type ShadowCounts struct {
	Live, Candidate string // revisions; Live is empty before the first call
	Compared        uint64
	Dropped         uint64 // calls that were not compared, since too many waited
	Differences     map[ShadowKind]uint64
}

// judged is a call with the decision that it got.
type judged struct {
	input Input
	live  *Decision
}

// NewShadow begins to compare.
func NewShadow(o ShadowOptions) (*Shadow, error) {
	if o.Candidate == nil {
		return nil, errors.New("policies: a shadow needs a candidate")
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Shadow{
		candidate: o.Candidate, differs: o.Differs, queue: make(chan judged, o.Queue), stop: stop, done: make(chan struct{}),
		counts: ShadowCounts{Candidate: o.Candidate.Revision(), Differences: map[ShadowKind]uint64{}},
	}
	go s.run(ctx)
	return s, nil
}

// Close ends the comparing. Calls that wait are forgotten.
func (s *Shadow) Close() {
	s.stop()
	<-s.done
}

// Compare hands over a call that was decided. It does not wait. Neither the input nor the decision may change afterwards.
// A nil Shadow compares nothing.
func (s *Shadow) Compare(in *Input, live *Decision) {
	if s == nil {
		return
	}
	select {
	case s.queue <- judged{*in, live}:
	default:
		s.mu.Lock()
		s.counts.Dropped++
		s.mu.Unlock()
	}
}

// Counts are what was found so far.
func (s *Shadow) Counts() ShadowCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Differences = maps.Clone(c.Differences)
	return c
}

func (s *Shadow) run(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.queue:
			s.compare(ctx, j)
			if s.compared != nil {
				s.compared()
			}
		}
	}
}

func (s *Shadow) compare(ctx context.Context, j judged) {
	begun := time.Now()
	d, err := s.decide(ctx, &j.input)
	if ctx.Err() != nil {
		return
	}
	s.rest(ctx, time.Since(begun))
	if err != nil {
		d = &Decision{Revision: s.candidate.Revision()}
	}
	kind := ShadowFails
	if err == nil {
		kind = difference(j.live, d)
	}
	s.mu.Lock()
	if c := &s.counts; c.Live != j.live.Revision { // what was counted was about another policy
		*c = ShadowCounts{Live: j.live.Revision, Candidate: c.Candidate, Dropped: c.Dropped, Differences: map[ShadowKind]uint64{}}
	}
	s.counts.Compared++
	if kind != "" {
		s.counts.Differences[kind]++
	}
	s.mu.Unlock()
	if kind != "" && s.differs != nil {
		s.differs(Difference{
			Kind: kind, Client: j.input.Caller.Client, Interaction: j.input.Request.Interaction, Type: j.input.Request.Type,
			LiveDataset: j.live.Dataset, Dataset: d.Dataset, LiveReason: j.live.Reason.Code, Reason: d.Reason.Code,
			LiveRevision: j.live.Revision, ItsRevision: d.Revision,
		})
	}
}

// decide asks the candidate. What would end the process is a failure of the candidate's here.
func (s *Shadow) decide(ctx context.Context, in *Input) (_ *Decision, err error) {
	defer func() {
		if recover() != nil {
			err = ErrFailed
		}
	}()
	return s.candidate.Decide(ctx, in)
}

// rest leaves the processor to the calls after a decision that took long, so that a candidate that loops takes no more than
// a fifth of one.
func (s *Shadow) rest(ctx context.Context, took time.Duration) {
	if took < 10*time.Millisecond {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(4 * took):
	}
}

// difference is the weightiest thing in which the candidate's decision is not the live one; "" if there is none.
func difference(live, candidate *Decision) ShadowKind {
	switch {
	case !live.Allow && candidate.Allow:
		return ShadowAllows
	case live.Allow && !candidate.Allow:
		return ShadowRefuses
	case live.Dataset != candidate.Dataset:
		return ShadowDataset
	case !same(live.DenyLabels, candidate.DenyLabels):
		return ShadowLabels
	case live.Purpose != candidate.Purpose, live.Patient != candidate.Patient, live.BreakGlass != candidate.BreakGlass,
		!same(live.Obligations, candidate.Obligations):
		return ShadowTerms
	case live.Reason.Code != candidate.Reason.Code:
		return ShadowReason
	}
	return ""
}

// same tells whether two lists hold the same, in whatever order and however often.
func same[T comparable](a, b []T) bool {
	missing := func(list []T) func(T) bool { return func(v T) bool { return !slices.Contains(list, v) } }
	return !slices.ContainsFunc(a, missing(b)) && !slices.ContainsFunc(b, missing(a))
}
