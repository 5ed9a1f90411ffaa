package cli

import (
	"io"
	"strings"
	"text/tabwriter"
)

// blockRows is how many rows of a table have their columns under each other: a table of a whole log is written as it is
// read, and not held until its widest cell is known.
const blockRows = 1000

// A table writes rows, block by block.
type table struct {
	w    *tabwriter.Writer
	rows int
}

func newTable(w io.Writer) *table { return &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// row writes cells that hold no tab and no line's end.
func (t *table) row(cells ...string) error {
	if _, err := io.WriteString(t.w, strings.Join(cells, "\t")+"\n"); err != nil {
		return err
	}
	if t.rows++; t.rows%blockRows == 0 {
		return t.w.Flush()
	}
	return nil
}

func (t *table) end() error { return t.w.Flush() }
