package accesslog

import (
	"context"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Encode is the line of a record with the place that it names itself.
func Encode(r *Record) ([]byte, error) {
	e := new(entries).get()
	if err := e.encode(r, time.Unix(0, 0)); err != nil {
		return nil, err
	}
	prev, err := tlog.ParseHash(r.Previous)
	if err != nil {
		return nil, err
	}
	return seal(e.line, r.Sequence, prev), nil
}

// Lines are the complete lines of a segment, and why no more came.
func Lines(src io.ReaderAt) (all []string, end error) {
	in := newLines(src, 0)
	for {
		line, err := in.next()
		if err != nil {
			return all, err
		}
		all = append(all, string(line))
	}
}

// The ends of Lines that are not io.EOF.
var (
	ErrTorn = errTorn
	ErrLong = errLong
)

// ParseNotes signs text and reads it as a checkpoint and as a frontier. What is read is signed again.
func ParseNotes(text, signer, verifier string) (asCheckpoint, asState string, err error) {
	s, err := note.NewSigner(signer)
	if err != nil {
		return "", "", err
	}
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return "", "", err
	}
	message, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return "", "", err
	}
	if c, err := parseCheckpoint(message, keys{v}); err == nil {
		b, err := c.sign(s)
		if err != nil {
			return "", "", err
		}
		asCheckpoint = string(b)
	}
	if st, err := parseState(stateFile, message, keys{v}); err == nil {
		b, err := st.sign(stateFile, s)
		if err != nil {
			return "", "", err
		}
		asState = string(b)
	}
	return asCheckpoint, asState, nil
}

// DecodeAny is Decode without the quick reader.
func DecodeAny(line []byte) (*Record, error) { return decodeAny(line) }

// A Cursor reads quickly.
type Cursor struct{ cursor }

// Whole says whether the quick reader takes a line.
func (c *Cursor) Whole(line []byte) bool { return c.whole(line) }

// TidyUp ends the log's own upkeep, and then does once what that does to closed segments under o.
func TidyUp(l *Log, o Options) error {
	l.endUpkeep()
	l.keep.compress, l.keep.retention = o.Compress, o.Retention
	l.keep.ctx, l.keep.stop = context.WithCancel(context.Background())
	l.tidyUp()
	return l.Neglect()
}

// SyncPeriod sets how long a checkpoint may stay unsynced. With next to nothing, one is put under its name after every group.
func SyncPeriod(o *Options, d time.Duration) { o.syncPeriod = d }

// WatchSpace looks at the disk now.
func WatchSpace(l *Log) { l.watchSpace() }

// Encoder encodes one record after the other, as an entry that is used again.
func Encoder() func(*Record) error {
	e := new(entries).get()
	return func(r *Record) error { return e.encode(r, time.Unix(0, 0)) }
}
