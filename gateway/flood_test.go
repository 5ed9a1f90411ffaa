package gateway_test

import (
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

// refusals reads how many calls the records of refusals stand for, by code, and how many records there are.
func (w *world) refusals() (calls map[string]int, records, begun int) {
	w.t.Helper()
	calls = map[string]int{}
	for r, err := range accesslog.Read(w.made.LogDir) {
		check(w.t, err)
		switch {
		case r.Kind == accesslog.KindRefusal:
			calls[r.Code] += max(1, r.Count)
			records++
			if r.Count > 0 && (r.Status == 0 || r.Source == "" || !strings.HasPrefix(r.Detail, "summed from ")) {
				w.t.Errorf("sum %+v", r)
			}
		case r.Code == "refusals-summed":
			begun++
		}
	}
	return calls, records, begun
}

// afterwards has somebody with a token call, who has a record, and ends the gateway; then it reads what the log has of the
// others, which verifies.
func (w *world) afterwards() (calls map[string]int, records, begun, total int) {
	w.t.Helper()
	r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Practitioner")
	if r.status != 200 {
		w.t.Fatalf("%d %s", r.status, r.body)
	}
	w.record(r)
	check(w.t, w.close())
	w.verify()
	calls, records, begun = w.refusals()
	for _, n := range calls {
		total += n
	}
	return calls, records, begun, total
}

// A flood of calls without a good token is summed: each call counts, few have records, and whoever has a
// token has a record of each call.
func TestFloodIsSummed(t *testing.T) {
	w := newWorld(t)
	const many = 250
	for range many {
		if r := w.get("", "/Practitioner"); r.status != 401 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r := w.get("eyJhbGciOiJub25lIn0.e30.", "/Practitioner"); r.status != 401 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	calls, records, begun, total := w.afterwards()
	for code, n := range calls {
		if n != many {
			t.Errorf("%d of %s", n, code)
		}
	}
	// A busy machine may take longer than one period.
	if total != 2*many || records >= 2*many || begun < 1 {
		t.Errorf("%d calls in %d records, %d beginnings: %v", total, records, begun, calls)
	}
}

// The log lives on its reserve: who has no token gets no records of their own any more, who has one does;
// and all of it is told.
func TestReserveIsForTheAuthenticated(t *testing.T) {
	disk := &fullDisk{}
	disk.free.Store(10 << 20)
	w := newWorld(t, withLog(disk))
	if status, body := w.ask("GET", "/readyz", ""); status != 200 || !strings.Contains(body, "degraded: the access log's disk has 10485760 bytes left") || !strings.Contains(body, "reserve is spent") {
		t.Errorf("readyz: %d %s", status, body)
	}
	_, metrics := w.ask("GET", "/metrics", "")
	for _, line := range []string{"halfdoor_access_log_space_low 1", "halfdoor_access_log_reserve_spent 1", "halfdoor_access_log_free_bytes 1.048576e+07", "halfdoor_access_log_upkeep_healthy 1"} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics do not say %q", line)
		}
	}
	if !strings.Contains(w.operator.String(), `"reserve_spent":true`) {
		t.Errorf("the operator's log does not say so: %s", w.operator.String())
	}
	for range 5 {
		if r := w.get("", "/Practitioner"); r.status != 401 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	calls, records, begun, total := w.afterwards()
	if len(calls) != 1 || total != 5 || records > 2 || begun < 1 {
		t.Errorf("%v in %d records, %d beginnings", calls, records, begun)
	}
}

// Whoever has a token and sends more than it is good for has a record of each call up to a bound, and of all calls their number.
func TestCallsBeyondALimitAreSummed(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "limits: {calls_per_minute: 1}\n" }))
	const many = 150
	token, other := w.token("demo-access", demo.TokenOptions{}), w.token("demo-scheduling", demo.TokenOptions{})
	for range many {
		w.get(token, "/Practitioner")
	}
	w.get(other, "/Slot")
	w.get(other, "/Slot")
	check(t, w.close())
	calls, records := 0, map[string]int{}
	for r, err := range accesslog.Read(w.made.LogDir) {
		check(t, err)
		if r.Kind == accesslog.KindAdmin || r.Kind == accesslog.KindRecovery {
			continue
		}
		if r.Actor.Client == "" || r.Actor.Subject == "" || r.Actor.Issuer == "" {
			t.Errorf("a call of nobody: %+v", r)
		}
		if records[r.Actor.Client]++; r.Actor.Client == "demo-access" {
			calls += max(1, r.Count)
		}
	}
	if calls != many || records["demo-access"] >= many || records["demo-access"] < 100 || records["demo-scheduling"] != 2 {
		t.Errorf("%d calls, in so many records: %v", calls, records)
	}
	w.verify()
}

// What a gateway that is killed takes of the counts is less than half: a count is in the log when it has doubled.
func TestFloodIsSummedOnTheWay(t *testing.T) {
	w := newWorld(t)
	const many = 850 // a hundred of them have records of their own
	for range many {
		if r := w.get("", "/Practitioner"); r.status != 401 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	calls, records, _ := w.refusals() // while the minute is under way, as far as the machine is quick
	if n := calls["token-missing"]; n < 100+(many-100)/2 || n > many || records > 130 {
		t.Errorf("%d of %d calls in %d records", n, many, records)
	}
	check(t, w.close())
	if calls, records, _ = w.refusals(); calls["token-missing"] != many || records > 230 {
		t.Errorf("in the end, %v in %d records", calls, records)
	}
	w.verify()
}
