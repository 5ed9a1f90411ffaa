// Package sinks hands the records of the access log on: to a syslog server, a FHIR server and
// an OpenTelemetry collector here, and to whatever else is a [Peer].
//
// The log on the disk stays the record. A sink reads it from a cursor of its own, behind what is durable,
// so that a sink that is slow or down delays nobody, and goes on after a restart where it was. Each record is
// delivered at least once and in order; a peer tells a record that comes twice by the log's name and the
// record's number. What a peer does not take is tried again, with growing pauses, for as long as it takes:
// nothing is left out, since a gap would look like a day on which nothing happened. How far a sink is
// behind is in its [Status].
package sinks

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A Delivery is a record and its line in the log.
type Delivery struct {
	Record *accesslog.Record
	Line   []byte
}

// A Peer takes records. It is called by one goroutine.
type Peer interface {
	// Send returns nil once the peer has all of the batch, or as many as its protocol can tell. After an error the
	// whole batch is sent again.
	Send(ctx context.Context, batch []Delivery) error
	// Close lets go of connections.
	Close() error
}

// ErrDiffers is wrapped by a peer's error where it has another record than the log under the same origin and number:
// one of the two was changed, or the log was begun anew under an old name.
var ErrDiffers = errors.New("the history differs")

// Options are the settings of a sink. Those without a default are required.
type Options struct {
	Name   string // for the operator, and of the cursor's file
	Kind   string // "syslog", …
	Log    *accesslog.Log
	Dir    string // the log's folder
	Cursor string // file
	Peer   Peer
	Now    func() time.Time                     // default time.Now
	After  func(time.Duration) <-chan time.Time // default time.After; of the pauses
	Failed func(err error)                      // told of each failure; optional
}

// Bounds of a batch, and of what a peer may take for one.
const (
	batchRecords = 500
	batchBytes   = 1 << 20
	sendTime     = 30 * time.Second
	firstPause   = time.Second
	longestPause = time.Minute
)

// A Status is how a sink does.
type Status struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Delivered int64     `json:"delivered"`       // records that the peer has: those before this number
	Behind    int64     `json:"behind"`          // records that are durable and not delivered
	Oldest    time.Time `json:"oldest,omitzero"` // of the first of them, once it was read
	Lost      int64     `json:"lost,omitzero"`   // records that retention removed before they were delivered, since the start
	Failing   bool      `json:"failing"`
	Problem   string    `json:"problem,omitzero"` // of the last try, while it fails
	Differs   bool      `json:"differs,omitzero"` // the last try failed by [ErrDiffers]
	Failures  int64     `json:"failures"`         // tries that failed, since the start
}

// A Sink delivers one log to one peer.
type Sink struct {
	Options
	cursor *cursor
	watch  <-chan struct{}

	mu     sync.Mutex
	status Status
}

// New reads the cursor. A cursor of another log is refused: its number would leave records out.
func New(o Options) (*Sink, error) {
	if o.Name == "" || o.Log == nil || o.Dir == "" || o.Cursor == "" || o.Peer == nil {
		return nil, errors.New("a sink needs a name, a log, a cursor and a peer")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	c, err := openCursor(o.Cursor, o.Log.Origin())
	if err != nil {
		return nil, err
	}
	if c.next > o.Log.Durable() {
		return nil, errors.New("the cursor is ahead of the log: the log was put back, or is another one")
	}
	s := &Sink{Options: o, cursor: c, watch: o.Log.Watch(), status: Status{Name: o.Name, Kind: o.Kind, Delivered: c.next}}
	return s, nil
}

// Run delivers until ctx ends.
func (s *Sink) Run(ctx context.Context) {
	defer s.Peer.Close()
	f := accesslog.NewFollower(s.Dir, s.cursor.next)
	defer f.Close()
	pause := firstPause
	for ctx.Err() == nil {
		batch, err := s.read(f)
		if err == nil && len(batch) == 0 {
			select {
			case <-s.watch:
			case <-ctx.Done():
			}
			continue
		}
		if len(batch) > 0 { // also those before one that cannot be read
			err = errors.Join(s.deliver(ctx, batch, &pause), err)
		}
		if err != nil && ctx.Err() == nil {
			s.failed(err)
			s.wait(ctx, &pause)
		}
	}
}

// read takes the next batch from the log. It stops at what cannot be read.
func (s *Sink) read(f *accesslog.Follower) ([]Delivery, error) {
	var batch []Delivery
	limit, size := s.Log.Durable(), 0
	for len(batch) < batchRecords && size < batchBytes {
		at := f.Position()
		r, line, err := f.Next(limit)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return batch, err
		}
		if lost := r.Sequence - at; lost > 0 {
			s.mu.Lock()
			s.status.Lost += lost
			s.mu.Unlock()
		}
		batch = append(batch, Delivery{r, append([]byte(nil), line...)})
		size += len(line)
	}
	return batch, nil
}

// deliver sends a batch until the peer has it.
func (s *Sink) deliver(ctx context.Context, batch []Delivery, pause *time.Duration) error {
	s.mu.Lock()
	s.status.Oldest = batch[0].Record.Time
	s.mu.Unlock()
	for {
		try, cancel := context.WithTimeout(ctx, sendTime)
		err := s.Peer.Send(try, batch)
		cancel()
		if err == nil {
			err = s.cursor.move(batch[len(batch)-1].Record.Sequence + 1)
		}
		if err == nil {
			*pause = firstPause
			s.mu.Lock()
			s.status.Delivered, s.status.Oldest, s.status.Failing, s.status.Problem, s.status.Differs = s.cursor.next, time.Time{}, false, "", false
			s.mu.Unlock()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.failed(err)
		s.wait(ctx, pause)
	}
}

func (s *Sink) failed(err error) {
	s.mu.Lock()
	s.status.Failing, s.status.Problem, s.status.Differs = true, err.Error(), errors.Is(err, ErrDiffers)
	s.status.Failures++
	s.mu.Unlock()
	if s.Failed != nil {
		s.Failed(err)
	}
}

// wait pauses for up to the given time, and doubles it. A part is left to chance, so that replicas do not come together.
func (s *Sink) wait(ctx context.Context, pause *time.Duration) {
	d := *pause/2 + rand.N(*pause/2)
	*pause = min(2**pause, longestPause)
	select {
	case <-s.After(d):
	case <-ctx.Done():
	}
}

// Status is how the sink does now.
func (s *Sink) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.status
	t.Behind = max(0, s.Log.Durable()-t.Delivered)
	return t
}
