// Package witness shows the access log's checkpoints to witnesses, and keeps their cosignatures beside the log
// (C2SP tlog-witness, tlog-cosignature).
//
// A witness signs a checkpoint only where it is proven to extend what it has signed before. Whoever puts the log
// back to an earlier state, with the signing key in hand, cannot put back what a witness remembers: the next
// checkpoint finds it, and so does whoever verifies the log with the witness's key.
//
// Nothing here is on the path of a call. A witness that is down, slow or wrong delays nobody; the cosigned
// checkpoint is older then, which [Status] tells.
package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A Witness is one that is asked.
type Witness struct {
	Key    *accesslog.Cosigner
	URL    string       // the submission prefix, to which /add-checkpoint is added
	Client *http.Client // must not follow redirects
}

// Options are the settings of what asks witnesses. Those without a default are required.
type Options struct {
	Log       *accesslog.Log
	Dir       string // the log's folder
	Witnesses []Witness
	Every     time.Duration                        // between two rounds
	After     func(time.Duration) <-chan time.Time // default time.After; of the pauses
	Failed    func(witness string, err error)      // told of each failure; optional
}

const (
	askTime = 10 * time.Second // for an answer
	maxRest = 64               // rounds that a witness which failed is left alone for, at most
)

// ErrContradiction is of a witness that has cosigned what is not in the log: the log was put back, or history was
// made anew, or the witness is wrong.
var ErrContradiction = errors.New("the witness has cosigned what is not in the log: it may have been put back, or changed")

// A Status is how a witness does.
type Status struct {
	Name           string    `json:"name"`
	Cosigned       int64     `json:"cosigned"` // records of the largest checkpoint that it has cosigned
	Time           time.Time `json:"time,omitzero"`
	Behind         int64     `json:"behind"` // durable records that came later
	Failing        bool      `json:"failing"`
	Contradicts    bool      `json:"contradicts,omitzero"` // its last answer was an [ErrContradiction]
	Problem        string    `json:"problem,omitzero"`     // of the last try, while it fails
	Failures       int64     `json:"failures"`             // tries that failed, since the start
	Contradictions int64     `json:"contradictions"`       // of them, those that were one
}

// Witnesses asks the witnesses of one log.
type Witnesses struct {
	o      Options
	within func(ctx context.Context, witness string) (context.Context, context.CancelFunc) // bounds an answer
	all    []*peer
	grow   sync.Mutex // guards growth
	tree   *accesslog.Growth
	store  sync.Mutex // guards the round's file
}

// peer is a witness and what is known of it.
type peer struct {
	Witness
	cosigned *accesslog.Cosigned // nil where it has cosigned nothing that is there
	rest     int                 // rounds until it is asked again
	pause    int

	mu     sync.Mutex
	status Status
}

// New reads what each witness has cosigned. A file that is not what a witness made is set aside, and the witness is asked
// again: it remembers, so that nobody can hide anything from it by damaging a file, and refusing to start would let whoever
// can write one stop the gateway.
func New(o Options) (*Witnesses, error) {
	if o.Log == nil || o.Dir == "" || o.Every <= 0 || len(o.Witnesses) == 0 {
		return nil, errors.New("witnesses need a log, a period and keys")
	}
	if o.After == nil {
		o.After = time.After
	}
	w := &Witnesses{o: o, tree: accesslog.NewGrowth(o.Dir)}
	w.within = func(ctx context.Context, _ string) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, askTime)
	}
	for _, one := range o.Witnesses {
		p := &peer{Witness: one, status: Status{Name: one.Key.Name()}}
		if err := w.setAside(p); err != nil {
			return nil, err
		}
		w.all = append(w.all, p)
	}
	for _, p := range w.all { // of what was set aside, nobody is taken to have cosigned it
		if err := w.remember(p); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// setAside sets aside the files that hold what the witness has not cosigned.
func (w *Witnesses) setAside(p *peer) error {
	for {
		_, err := accesslog.Witnessed(w.o.Dir, w.o.Log.Origin(), p.Key)
		var d *accesslog.Damage
		if !errors.As(err, &d) {
			return err
		}
		if err := w.o.Log.SetAsideWitnessed(d); err != nil {
			return err
		}
		w.failed(p, fmt.Errorf("%w; it is set aside, and the witness is asked again", err))
	}
}

// remember reads what the witness has cosigned.
func (w *Witnesses) remember(p *peer) error {
	c, err := accesslog.Witnessed(w.o.Dir, w.o.Log.Origin(), p.Key)
	if err != nil || c == nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cosigned, p.status.Cosigned, p.status.Time = c, c.Size, c.Time
	return nil
}

// Run asks until ctx ends.
func (w *Witnesses) Run(ctx context.Context) {
	for ctx.Err() == nil {
		w.round(ctx)
		select {
		case <-w.o.After(w.o.Every):
		case <-ctx.Done():
		}
	}
}

// round shows the newest checkpoint to all witnesses at once, so that their cosignatures meet on it.
func (w *Witnesses) round(ctx context.Context) {
	signed, err := w.o.Log.Checkpoint()
	var asked []*peer
	for _, p := range w.all {
		switch {
		case p.rest > 0:
			p.rest--
		case err != nil:
			w.failed(p, err)
		case signed.Size > 0 && (p.cosigned == nil || p.cosigned.Size != signed.Size):
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return
	}
	r := &round{w: w, signed: signed, message: w.o.Log.WithCosignatures(signed)}
	var running sync.WaitGroup
	for _, p := range asked {
		running.Go(func() {
			ctx, cancel := w.within(ctx, p.Key.Name())
			defer cancel()
			if err := r.ask(ctx, p); err != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
				w.failed(p, err)
			}
		})
	}
	running.Wait()
	if err := w.forget(); err != nil {
		for _, p := range asked {
			w.failed(p, err)
		}
	}
}

// forget removes the checkpoints that no witness has cosigned last.
func (w *Witnesses) forget() error {
	var sizes []int64
	for _, p := range w.all {
		if p.cosigned != nil {
			sizes = append(sizes, p.cosigned.Size)
		}
	}
	return w.o.Log.ForgetWitnessed(sizes...)
}

// prove proves that the checkpoint extends what a witness cosigned, and what the others did on the way.
func (w *Witnesses) prove(ctx context.Context, to *accesslog.Signed, size int64) (accesslog.Extension, error) {
	w.grow.Lock()
	defer w.grow.Unlock()
	// Of the others too, so that none of them has the log read again.
	sizes := map[int64]bool{size: true, to.Size: true}
	for _, p := range w.all {
		p.mu.Lock()
		if n := p.status.Cosigned; n <= to.Size {
			sizes[n] = true
		}
		p.mu.Unlock()
	}
	var list []int64
	for n := range sizes {
		list = append(list, n)
	}
	all, err := w.tree.Prove(ctx, to, list...)
	if err != nil {
		return accesslog.Extension{}, err
	}
	return all[size], all[size].Err
}

// took notes a cosignature.
func (p *peer) took(c *accesslog.Cosigned) {
	p.cosigned, p.pause = c, 0
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Cosigned, p.status.Time = c.Size, c.Time
	p.status.Failing, p.status.Contradicts, p.status.Problem = false, false, ""
}

// failed notes a failure. Who fails is left alone for longer each time, since a proof from any size has the
// log read again.
func (w *Witnesses) failed(p *peer, err error) {
	contradicts := errors.Is(err, ErrContradiction)
	p.rest = p.pause
	p.pause = min(2*p.pause+1, maxRest)
	p.mu.Lock()
	p.status.Failing, p.status.Problem, p.status.Contradicts = true, err.Error(), contradicts
	p.status.Failures++
	if contradicts {
		p.status.Contradictions++
	}
	p.mu.Unlock()
	if w.o.Failed != nil {
		w.o.Failed(p.Key.Name(), err)
	}
}

// Statuses are how the witnesses do now.
func (w *Witnesses) Statuses() []Status {
	var all []Status
	for _, p := range w.all {
		p.mu.Lock()
		s := p.status
		p.mu.Unlock()
		s.Behind = max(0, w.o.Log.Durable()-s.Cosigned)
		all = append(all, s)
	}
	return all
}

// contradiction is an ErrContradiction with what shows it.
func contradiction(format string, args ...any) error {
	return fmt.Errorf("%w (%s)", ErrContradiction, fmt.Sprintf(format, args...))
}

func endpoint(prefix string) string { return strings.TrimSuffix(prefix, "/") + "/add-checkpoint" }
