package accesslog

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrPoisoned is returned by every Append after a write, a sync, a checkpoint or a rotation has
	// failed, and by those that waited for it. It wraps the first cause, so that errors.Is also finds
	// syscall.ENOSPC. Only opening the log anew ends it.
	ErrPoisoned = errors.New("access log failed and takes no further records")
	// ErrClosed is returned by an Append after Close.
	ErrClosed = errors.New("access log is closed")
	// ErrLocked is returned by Open while another process, or another Log, has the folder open.
	ErrLocked = errors.New("access log is open elsewhere")
	// ErrRecord is returned for a record or a line that is not one: an unknown kind, longer than
	// [MaxRecord], not of this version's form. It does not poison the log.
	ErrRecord = errors.New("not an access record")
	// ErrKey is wrapped by the [*Damage] of a checkpoint that another key signed, or none did.
	ErrKey = errors.New("not signed by this log's key")
	// ErrCosignature is wrapped by the error for a cosignature that its witness has not made.
	ErrCosignature = errors.New("not cosigned by this witness")
	// ErrUnwitnessed is returned where fewer witnesses have cosigned the log than were asked for.
	ErrUnwitnessed = errors.New("not enough witnesses have cosigned the log")
)

// Damage is the first place where a log is not what it was when it was written.
type Damage struct {
	File   string // in the log's folder
	Line   int64  // from 1; 0 where no line is meant
	Seq    int64  // of the record; -1 where none is meant
	Offset int64  // of the line in the file, in bytes
	Reason string // a sentence without a full stop, and without the record's content
	Advice string // what to do, where the log refuses to open
	err    error
}

// Error names the place, the reason and what to do.
func (d *Damage) Error() string {
	var b strings.Builder
	b.WriteString("access log damaged: ")
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, " line %d", d.Line)
		if d.Seq >= 0 {
			fmt.Fprintf(&b, " (seq %d, byte %d)", d.Seq, d.Offset)
		} else {
			fmt.Fprintf(&b, " (byte %d)", d.Offset)
		}
	}
	b.WriteString(": ")
	b.WriteString(d.Reason)
	if d.Advice != "" {
		b.WriteString("; ")
		b.WriteString(d.Advice)
	}
	return b.String()
}

// Unwrap returns the sentinel behind the damage, if there is one.
func (d *Damage) Unwrap() error { return d.err }

// fileDamage is damage of a whole file.
func fileDamage(file, reason string) *Damage {
	return &Damage{File: file, Seq: -1, Reason: reason}
}
