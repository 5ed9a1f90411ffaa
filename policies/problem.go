package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Problem is one thing that keeps a bundle from being used.
type Problem struct {
	File string // path within the bundle, empty if it is about the bundle as a whole
	Line int    // from 1, or 0 if it is about the file as a whole
	Text string
}

// Error is "file:line: text".
func (p *Problem) Error() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// problems collects what is wrong, so that all of it is told at once.
type problems []*Problem

func (ps *problems) add(file string, line int, format string, args ...any) {
	*ps = append(*ps, &Problem{File: file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// err joins the problems, sorted by place, or is nil.
func (ps problems) err() error {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errors.Join(errs...)
}
