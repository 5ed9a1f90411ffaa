package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/test/bench/cases"
	"github.com/halfdoor/halfdoor/transforms"
)

// engineNames are the engines, in the order in which they are shown.
var engineNames = []string{"filter", "json.Valid", "gjson.Valid", "jsontext", "gjson+sjson", "encoding/json"}

// peer filters a document as the filter does, with another library.
type peer interface {
	run(in []byte, dst io.Writer) error
}

// filterPeer is the filter itself.
type filterPeer struct {
	c   *cases.Case
	o   transforms.Options
	src cases.Reader
}

func (f *filterPeer) run(_ []byte, dst io.Writer) error {
	var sink transforms.Sink = cases.Discard{}
	if dst != io.Discard {
		sink = written{dst}
	}
	_, err := f.c.Filter(sink, &f.src, f.o)
	return err
}

// written is a Sink that only writes.
type written struct{ dst io.Writer }

func (w written) Release(window *transforms.Window) error {
	_, err := w.dst.Write(window.Body)
	return err
}

var errNotValid = errors.New("not valid")

// tooSlow are the engines that a hostile case keeps for minutes.
var tooSlow = map[[2]string]string{
	{"gjson+sjson", "hostile-arrays"}: "quadratic",
	{"gjson+sjson", "hostile-keys"}:   "quadratic",
}

// entrants makes the engines of a case ready: each peer is held to the filter's answer, and does
// not take part where it gives another. Every run of an engine has new tokens.
func entrants(c *cases.Case, names []string) ([]*entrant, error) {
	o, err := c.Options()
	if err != nil {
		return nil, err
	}
	o.Report = new(transforms.Report) // used again, as by a caller who is done with it
	filter := &filterPeer{c: c, o: o}
	var want bytes.Buffer
	if err := filter.run(c.Data, &want); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	answer, err := decode(want.Bytes())
	if err != nil {
		return nil, fmt.Errorf("filter: its output: %w", err)
	}
	w := newWork(c)
	var out []*entrant
	for _, name := range names {
		e := &entrant{name: name}
		out = append(out, e)
		var p peer
		switch name {
		case "json.Valid":
			e.run = validator(c, json.Valid)
			continue
		case "gjson.Valid":
			e.run = validator(c, gjson.ValidBytes)
			continue
		case "filter":
			e.run = func() error {
				if filter.o.Tokens, err = c.Tokens(); err != nil {
					return err
				}
				return filter.run(c.Data, io.Discard)
			}
			continue
		case "jsontext":
			p = newTokenPeer(w)
		case "gjson+sjson":
			p = &pathPeer{work: w}
		case "encoding/json":
			p = mapPeer{w}
		}
		e.run = func() error {
			var err error
			if w.tokens, err = c.Tokens(); err != nil {
				return err
			}
			return p.run(c.Data, io.Discard)
		}
		if e.skipped = tooSlow[[2]string{name, c.Name}]; e.skipped == "" {
			e.skipped = agrees(p, w, c, answer)
		}
	}
	return out, nil
}

// validator runs a function that validates: of NDJSON, each line.
func validator(c *cases.Case, valid func([]byte) bool) func() error {
	if !c.Lines {
		return func() error {
			if !valid(c.Data) {
				return errNotValid
			}
			return nil
		}
	}
	return func() error {
		for line := range bytes.Lines(c.Data) {
			if !valid(line) {
				return errNotValid
			}
		}
		return nil
	}
}

// agrees says what keeps a peer from giving the filter's answer, or "".
func agrees(p peer, w *work, c *cases.Case, want []any) string {
	var err error
	if w.tokens, err = c.Tokens(); err != nil {
		return err.Error()
	}
	var out bytes.Buffer
	if err := p.run(c.Data, &out); err != nil {
		return "refuses it"
	}
	got, err := decode(out.Bytes())
	if err != nil {
		return "its output is not JSON"
	}
	if !reflect.DeepEqual(got, want) {
		return "another answer"
	}
	return ""
}

// decode reads JSON or NDJSON, with numbers as they are written.
func decode(doc []byte) (all []any, err error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	for {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}
