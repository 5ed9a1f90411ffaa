package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	stateFile    = "frontier"
	retainedFile = "retained"
)

// A state is a place in the log from which a start can go on without reading what lies before: the
// tree's frontier, the hash of the last line and where the next one goes. It is kept in the file
// "frontier" as a note that the log's key signed:
//
//	<origin>/frontier
//	<records>
//	<root>
//	open | closed
//	<segment> <byte>
//	<hash of the last line>
//	<hash of the largest complete subtree>
//	…
//
// Its first line keeps it from passing as a checkpoint. It is written when the log is opened, when a
// segment is begun and when the log is closed.
//
// The file "retained" is of the same form, with that name in its first line. It is there once retention
// has removed segments, and is the place behind the records that they held: where reading begins.
type state struct {
	tree    tree
	closed  bool // the log was closed here; whatever follows was not written by it
	segment int
	offset  int64
	prev    tlog.Hash
}

func (s *state) sign(file string, signers ...note.Signer) ([]byte, error) {
	var b strings.Builder
	word := "open"
	if s.closed {
		word = "closed"
	}
	fmt.Fprintf(&b, "%s/%s\n%d\n%s\n%s\n%d %d\n%s\n", signers[0].Name(), file, s.tree.size, s.tree.root(), word, s.segment, s.offset, s.prev)
	for _, h := range s.tree.nodes {
		b.WriteString(h.String())
		b.WriteByte('\n')
	}
	return note.Sign(&note.Note{Text: b.String()}, signers...)
}

var errState = errors.New("malformed frontier")

// parseState checks the signature, the form, and that the frontier has the root that it names.
func parseState(file string, message []byte, of keys) (*state, error) {
	text, err := openNote(message, of)
	if err != nil {
		return nil, err
	}
	return parseStateText(file, text, of.origin())
}

func parseStateText(file, text, origin string) (s *state, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 6 || lines[0] != origin+"/"+file {
		return nil, errState
	}
	s = new(state)
	if s.tree.size, err = parseSize(lines[1]); err != nil {
		return nil, errState
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return nil, errState
	}
	s.closed = lines[3] == "closed"
	segment, offset, ok := strings.Cut(lines[4], " ")
	if !ok || !s.closed && lines[3] != "open" {
		return nil, errState
	}
	if s.segment, err = strconv.Atoi(segment); err != nil || s.segment < 1 {
		return nil, errState
	}
	if s.offset, err = parseSize(offset); err != nil {
		return nil, errState
	}
	if s.prev, err = parseHash(lines[5]); err != nil {
		return nil, errState
	}
	for _, line := range lines[6:] {
		h, err := parseHash(line)
		if err != nil {
			return nil, errState
		}
		s.tree.nodes = append(s.tree.nodes, h)
	}
	if !s.tree.whole() || s.tree.root() != root {
		return nil, errState
	}
	return s, nil
}

// fits reports whether the record before the state's place is there and has the hash that the state
// names. It may be the last one of the segment before.
func (s *state) fits(dir string, of layout) bool {
	if s.segment > of.last || s.segment < of.first {
		return false
	}
	if b := of.base; b != nil && s.tree.size <= b.tree.size {
		return s.tree.size == b.tree.size && s.segment == of.first && s.offset == 0 && s.prev == b.prev
	}
	if s.tree.size == 0 {
		return s.segment == 1 && s.offset == 0
	}
	segment, end := s.segment, s.offset
	if end == 0 {
		segment--
	}
	f, err := openStored(dir, segment)
	if err != nil {
		return false
	}
	defer f.Close()
	if end == 0 {
		if end, err = f.size(); err != nil {
			return false
		}
	}
	line, err := lastLine(f, end)
	return err == nil && tlog.RecordHash(line) == s.prev
}

// lastLine reads the line that ends at a place, backwards to the newline before, in growing steps: records
// are short.
func lastLine(f stored, end int64) ([]byte, error) {
	for span := int64(4 << 10); ; span *= 8 {
		begin := max(0, end-span)
		b := make([]byte, end-begin)
		if _, err := f.ReadAt(b, begin); err != nil {
			return nil, err
		}
		line, ok := bytes.CutSuffix(b, []byte("\n"))
		if !ok {
			return nil, errTorn
		}
		at := bytes.LastIndexByte(line, '\n') + 1
		if at > 0 || begin == 0 {
			return line[at:], nil
		}
		if span > MaxRecord {
			return nil, errLong
		}
	}
}
