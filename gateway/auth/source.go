package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// source is one issuer: its keys and when to ask for them again.
//
// Map. current is what every call takes: the last good set, without a lock while it is
// young. find looks a key up in it, and has the issuer asked about one that is unknown.
// Both ask through start, of which at most one runs: it answers all who wait, and its
// length is bounded by timeout and by nothing else, so no caller who leaves takes the
// answer away from the others.
//
// Invariants. set only ever moves to a set that the issuer really published. No fetch
// begins before next (back-off), nor, for an unknown key, within interval of one that
// was fruitless. A fetch that did find its key is free: only the issuer can cause one.
type source struct {
	url      string
	cfg      Issuer
	client   *http.Client
	now      func() time.Time
	refresh  time.Duration // keys older than this are asked for again
	maxAge   time.Duration // keys older than this are not used
	interval time.Duration // between fruitless fetches for unknown keys
	timeout  time.Duration // of one fetch, discovery included
	pinned   bool          // the keys are configured: nobody is asked
	opaque   *introspector // of tokens that only the issuer can read; nil: they are refused
	patience               // of those who wait for its answers

	set    atomic.Pointer[keySet]
	server atomic.Pointer[Server] // as discovered last; nil before

	mu        sync.Mutex
	running   *fetch
	begun     uint64    // fetches so far
	next      time.Time // zero after a success
	fruitless time.Time
	failures  int   // since the last success
	failed    error // of the last fetch; nil after a success
	keysURL   string
	found     time.Time // when keysURL was
}

// fetch is one question to the issuer. err may be read once done is closed.
type fetch struct {
	number uint64
	at     time.Time
	id     string // the unknown key that it is for; "" for none
	done   chan struct{}
	err    error
}

const (
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
)

// current is the newest key set that may be used, or an Error of CodeUnavailable. While
// an issuer fails, calls wait for it only where there is nothing to go on with.
func (s *source) current(ctx context.Context) (*keySet, *Error) {
	if s.pinned {
		return s.set.Load(), nil
	}
	if set := s.set.Load(); s.younger(set, s.refresh) {
		return set, nil
	}
	s.mu.Lock()
	set := s.set.Load()
	if s.younger(set, s.refresh) {
		s.mu.Unlock()
		return set, nil
	}
	f, failures, failed := s.running, s.failures, s.failed
	if f == nil && !s.now().Before(s.next) {
		f = s.start("")
	}
	s.mu.Unlock()

	usable := s.younger(set, s.maxAge)
	if usable && (s.younger(set, 2*s.refresh) || failures > 0) {
		return set, nil
	}
	// Nothing to go on with, or keys from before a quiet time, which may have been
	// withdrawn since.
	if f == nil {
		return nil, s.unavailable(failed)
	}
	if err := s.wait(ctx, f.done); err != nil {
		return nil, s.unavailable(err)
	}
	if set = s.set.Load(); !s.younger(set, s.maxAge) {
		return nil, s.unavailable(f.err)
	}
	return set, nil
}

// younger reports whether a set is younger than the age. One from the future is not: the
// clock was set back, and nobody knows how old it is.
func (s *source) younger(set *keySet, age time.Duration) bool {
	if set == nil {
		return false
	}
	since := s.now().Sub(set.fetched)
	return since >= 0 && since < age
}

// find is the published keys of an id. One that is not known is asked for, so an Error
// of CodeKey means that the issuer does not publish it, or that too many such questions
// were vain; what could not be asked is CodeUnavailable, for the key may be a new one.
func (s *source) find(ctx context.Context, id string) ([]*key, *Error) {
	set, unavailable := s.current(ctx)
	if unavailable != nil {
		return nil, unavailable
	}
	if keys := set.byID[id]; keys != nil {
		return keys, nil
	}
	if s.pinned {
		return nil, s.fail(CodeKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	arrival := s.begun
	for {
		if keys := s.set.Load().byID[id]; keys != nil {
			return keys, nil
		}
		f := s.running
		if f == nil {
			now := s.now()
			if now.Before(s.next) {
				return nil, s.unavailable(s.failed)
			}
			if since := now.Sub(s.fruitless); since >= 0 && since < s.interval {
				return nil, s.fail(CodeKey)
			}
			f = s.start(id)
		}
		s.mu.Unlock()
		err := s.wait(ctx, f.done)
		s.mu.Lock()
		switch {
		case err != nil:
			return nil, s.unavailable(err)
		case f.number <= arrival: // it may have been answered before the key was new
		case f.err != nil:
			return nil, s.unavailable(f.err)
		default:
			if keys := s.set.Load().byID[id]; keys != nil {
				return keys, nil
			}
			return nil, s.fail(CodeKey)
		}
	}
}

// start begins a fetch. s.mu is held, and none is running.
func (s *source) start(id string) *fetch {
	s.begun++
	f := &fetch{number: s.begun, at: s.now(), id: id, done: make(chan struct{})}
	s.running = f
	keysURL := s.keysURL
	if s.failures > 0 || f.at.Sub(s.found) >= s.maxAge {
		keysURL = "" // they may have moved
	}
	go s.run(f, keysURL)
	return f
}

func (s *source) run(f *fetch, keysURL string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	set, at, err := s.ask(ctx, f, keysURL)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(f.done)
	s.running, f.err, s.failed = nil, err, err
	if err != nil {
		s.next = s.now().Add(min(lastBackoff, firstBackoff<<min(s.failures, 10)))
		s.failures++
		return
	}
	s.next, s.failures = time.Time{}, 0
	if at != keysURL {
		s.keysURL, s.found = at, f.at
	}
	s.set.Store(set)
	if f.id != "" && set.byID[f.id] == nil {
		s.fruitless = f.at
	}
}

// ask gets the keys, and where they are unless that is known.
func (s *source) ask(ctx context.Context, f *fetch, keysURL string) (*keySet, string, error) {
	if keysURL == "" {
		server, err := discover(ctx, s.client, s.url)
		if err != nil {
			return nil, "", err
		}
		s.server.Store(server)
		keysURL = server.Keys
	}
	doc, err := download(ctx, s.client, keysURL)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	set, err := readKeys(doc, s.set.Load(), f.at)
	if err != nil {
		return nil, "", fmt.Errorf("keys: %w", err)
	}
	return set, keysURL, nil
}

// patience bounds the calls that wait for an issuer at once: who calls is not known of any of them, and all of them
// together must leave room for callers who are known already, and for those of other issuers.
type patience struct {
	most    int64
	waiting atomic.Int64
}

var errCrowded = errors.New("too many calls wait for the issuer")

func (p *patience) wait(ctx context.Context, done <-chan struct{}) error {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.most {
		return errCrowded
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check asks the issuer unless its answer is fresh or it is being left alone, and says
// what is wrong.
func (s *source) check(ctx context.Context) error {
	if s.pinned {
		return nil
	}
	s.mu.Lock()
	f := s.running
	if f == nil && !s.now().Before(s.next) && (s.failures > 0 || !s.younger(s.set.Load(), s.refresh)) {
		f = s.start("")
	}
	s.mu.Unlock()
	if f != nil {
		select { // it is no call, and takes nobody's place
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("issuer %s: %w", s.url, ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("issuer %s: %w", s.url, s.failed)
	}
	if set := s.set.Load(); set == nil || len(set.byID) == 0 {
		return fmt.Errorf("issuer %s: %w", s.url, errors.New("publishes no key that can be used"))
	}
	return nil
}

// pin makes the source one of configured keys.
func (s *source) pin(keys, metadata []byte) error {
	set, err := readKeys(keys, nil, s.now())
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if len(set.byID) == 0 {
		return errors.New("keys: none that can be used")
	}
	if metadata != nil {
		server := new(Server)
		if json.Unmarshal(metadata, server) != nil || server.Issuer != s.url {
			return errors.New("metadata: not the discovery document of this issuer")
		}
		s.server.Store(server)
	}
	s.set.Store(set)
	s.pinned = true
	return nil
}

func (s *source) fail(code string) *Error { return &Error{Code: code, Issuer: s.url} }

func (s *source) unavailable(err error) *Error {
	return &Error{Code: CodeUnavailable, Issuer: s.url, err: err}
}
