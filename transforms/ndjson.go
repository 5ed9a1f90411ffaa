package transforms

import (
	"bytes"
	"io"
)

// FilterNDJSON streams src, newline-delimited JSON with a resource on each line (as bulk exports are),
// through the plan to dst. A line whose resource may not leave is left out; one that is not exactly
// one JSON object ends the stream. A line may end with a carriage return, the last one without a
// newline, and empty lines are skipped; each that leaves ends with a newline, and windows end where
// lines do. A Bundle on a line is filtered like one inside another resource. Options.Root is the type
// that each line must have; RootID and BundleType are not asked for.
func (p *Plan) FilterNDJSON(dst Sink, src io.Reader, o Options) (Report, error) {
	return p.stream(dst, src, o, (*filter).lines)
}

func (f *filter) lines() error {
	f.lined = true
	for {
		c, err := f.peek()
		switch {
		case err == io.EOF:
			if !f.nextLine() {
				return f.release(true)
			}
			continue
		case err != nil:
			return err
		case c != '{':
			return f.fail(ErrSyntax)
		}
		if err := f.line(); err != nil {
			return err
		}
		if err := f.ready(); err != nil {
			return err
		}
	}
}

// line filters the line at r, whose resource is held until the line has come to a good end.
func (f *filter) line() error {
	if _, err := f.typeOf(false); err != nil {
		return err
	}
	if f.opt.Root != "" && string(f.kind) != f.opt.Root {
		return f.fail(ErrUnexpectedRoot)
	}
	f.hold = len(f.out)
	r, err := f.typed()
	if err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	if r != nil {
		f.out = append(f.out, '\n')
	} else {
		f.out = f.out[:f.hold]
	}
	f.hold = -1
	return nil
}

// bound ends the window on the input at the first newline from an index on, as if the input did. What
// the sentinel takes the place of is saved.
func (f *filter) bound(from int) {
	f.w = f.have
	if i := bytes.IndexByte(f.buf[from:f.have], '\n'); i >= 0 {
		f.w = from + i
		copy(f.saved[:], f.buf[f.w:f.have])
		clear(f.buf[f.w : f.w+pad])
	}
}

// nextLine goes on behind the newline that the window ends at. It returns false at the end of the
// input.
func (f *filter) nextLine() bool {
	if f.w == f.have {
		return false
	}
	copy(f.buf[f.w:f.have], f.saved[:])
	f.r = f.w + 1
	f.bound(f.r)
	return true
}
