package cli

import "io"

// ExampleKeyset is what "halfdoor filter" makes example tokens with.
const ExampleKeyset = exampleKeyset

// NewTable is a table as the audit's commands write it.
func NewTable(w io.Writer) (row func(...string) error, end func() error) {
	t := newTable(w)
	return t.row, t.end
}
