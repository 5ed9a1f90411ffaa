package probe

import (
	_ "embed" // the baseline

	"github.com/halfdoor/halfdoor/transforms"
)

//go:embed baseline.json
var baseline []byte

// Baseline is what may leave where no dataset is given: of the types that a helpdesk works
// with, everything but what no helpdesk needs (addresses, reasons, notes, narrative, contained
// resources, extensions, display texts), and nothing of any clinical type.
func Baseline() (*transforms.Dataset, error) { return transforms.ParseDataset("baseline", baseline) }
