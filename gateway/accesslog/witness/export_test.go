package witness

import (
	"context"
	"net/http"
)

// SetWithin bounds an answer for the rest of a test.
func (w *Witnesses) SetWithin(f func(ctx context.Context, witness string) (context.Context, context.CancelFunc)) {
	w.within = f
}

// Judge reads an answer, and tells the size that a conflict names; -1 where it names none.
func Judge(resp *http.Response, answer []byte) (lines []byte, size int64, err error) {
	lines, err = judge(resp, answer)
	if c, ok := err.(conflict); ok {
		return lines, c.size, err
	}
	return lines, -1, err
}
