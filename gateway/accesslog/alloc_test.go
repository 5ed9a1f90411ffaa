package accesslog_test

import (
	"math"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A record is encoded without allocating, whatever it holds.
func TestEncodeAllocatesNothing(t *testing.T) {
	stated := "TREAT"
	full := sample(1)
	full.Stated = &stated
	full.BreakGlass = &accesslog.BreakGlass{Reason: "collapsed", Opened: time.Unix(0, 0), Expires: time.Unix(900, 0)}
	full.Request.Parameters = []accesslog.Parameter{{Name: "date", Modifier: "missing", Values: []string{"a", "b"}}, {Name: "patient", Values: []string{"c"}}}
	counts := map[string]int{"Appointment": 2, "Patient": 1, "Slot": 3}
	full.Totals = &accesslog.Totals{
		BytesIn: 1, BytesOut: 2, Released: counts, Removed: counts, Tokenized: counts, Unknown: counts, Missing: counts,
		Dropped: map[string]map[string]int{"label": counts, "compartment": counts},
	}
	encode := accesslog.Encoder()
	least := math.Inf(1)
	for range 200 { // the collector may empty a pool meanwhile, and the race detector does
		least = min(least, testing.AllocsPerRun(1, func() {
			if err := encode(full); err != nil {
				t.Fatal(err)
			}
		}))
	}
	if least > 0 {
		t.Errorf("%v allocations", least)
	}
}
