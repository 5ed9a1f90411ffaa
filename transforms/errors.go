package transforms

import (
	"errors"
	"strconv"
)

// Why a stream was refused or broke off; an [Error] has one of these as its Kind.
var (
	ErrSyntax         = errors.New("malformed JSON")
	ErrUTF8           = errors.New("invalid UTF-8")
	ErrDuplicate      = errors.New("member named twice")
	ErrDepth          = errors.New("nested too deep")
	ErrKeys           = errors.New("too many members in one object")
	ErrTooLong        = errors.New("name or value too long")
	ErrLookahead      = errors.New("too much to hold back")
	ErrTruncated      = errors.New("ends before its end")
	ErrTrailing       = errors.New("data after the end")
	ErrNoType         = errors.New("no resourceType")
	ErrUnexpectedRoot = errors.New("not the resource that was asked for")
	ErrNoRow          = errors.New("resource type may not leave")
	ErrCompartment    = errors.New("outside the patient's compartment")
	ErrLabel          = errors.New("security label denied")
	ErrSource         = errors.New("reading failed")
	ErrSink           = errors.New("releasing failed")
	ErrToken          = errors.New("making a token failed")
)

// Error says why and where a stream was given up. It never holds content.
type Error struct {
	Kind    error  // one of the Err variables; errors.Is finds it
	Offset  int64  // in the input, in bytes
	Pointer string // RFC 6901; a name that the plan does not know is "?"

	err error // of the reader, the sink or the tokenizer
}

// Error returns the kind and the place. The cause's own text, which might hold content, is left
// to errors.Unwrap.
func (e *Error) Error() string {
	s := "transforms: " + e.Kind.Error() + " at byte " + strconv.FormatInt(e.Offset, 10)
	if e.Pointer != "" {
		s += " (" + e.Pointer + ")"
	}
	return s
}

// Unwrap returns the kind, and the cause where there is one.
func (e *Error) Unwrap() []error {
	if e.err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.err}
}
