package accesslog_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A retention of a day, 60 hours after the first of 60 records: those before hour 36 are to go.
func TestRetentionHolds(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name    string
		hold    time.Duration
		holders []accesslog.Holder
		low     bool
		held    string // whom the rest waits for
		most    int64  // records that may be removed
		least   int64
		said    string // in the record
	}{
		{"nobody", 30 * day, nil, false, "", 36, 20, ""},
		{"all have everything", 30 * day, []accesslog.Holder{{"the sink siem", 60}, {"the witness east", 59}}, false, "", 36, 20, ""},
		{"a sink that has nothing", 30 * day, []accesslog.Holder{{"the witness east", 59}, {"the sink siem", 0}}, false, "the sink siem", 0, 0, ""},
		{"the one that is furthest behind", 30 * day, []accesslog.Holder{{"the sink siem", 20}, {"the witness east", 12}}, false, "the witness east", 12, 5, ""},
		{"for a while", 12 * time.Hour, []accesslog.Holder{{"the sink siem", 3}}, false, "the sink siem", 24, 5, "; the sink siem had not got those from 3 on"},
		{"for no time", 0, []accesslog.Holder{{"the sink siem", 3}, {"the witness east", 60}}, false, "", 36, 20, "; the sink siem had not got those from 3 on"},
		{"not where the disk is full", 30 * day, []accesslog.Holder{{"the sink siem", 3}, {"the witness east", 1}}, true, "", 36, 20, "; the sink siem had not got those from 3 on; the witness east had not got those from 1 on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := aged(t, 60)
			var free atomic.Int64
			if free.Store(1 << 40); c.low {
				free.Store(1000)
			}
			s.fs = &faultFS{free: &free}
			retain := retaining(60, day)
			s.tune = func(o *accesslog.Options) {
				retain(o)
				o.Hold, o.Low, o.Compress = c.hold, 1001, true
				o.Holders = func() ([]accesslog.Holder, bool) { return c.holders, true }
			}
			err := s.tidy(t)
			var held *accesslog.Held
			switch {
			case c.held == "" && err != nil:
				t.Fatal(err)
			case c.held != "" && (!errors.As(err, &held) || held.Holder != c.held || !strings.Contains(err.Error(), "records are older than the retention and wait for "+c.held)):
				t.Fatalf("%v", err)
			}
			v := s.mustVerify(t)
			if v.Removed > c.most || v.Removed < c.least {
				t.Errorf("%d records were removed, not %d to %d", v.Removed, c.least, c.most)
			}
			if held != nil && (held.Records < 36-v.Removed-10 || held.Records > 36-v.Removed) {
				t.Errorf("%d records are said to wait, and %d were removed", held.Records, v.Removed)
			}
			said := ""
			for _, r := range s.records(t) {
				if r.Code == "retention" {
					said += r.Detail
				}
			}
			if (v.Removed > 0) != (said != "") || !strings.HasSuffix(said, c.said) || c.said == "" && strings.Contains(said, "had not got") {
				t.Errorf("the record of it says %q", said)
			}
			if len(s.names(t, "*.jsonl")) != 1 {
				t.Error("closed segments are not compressed")
			}
		})
	}
}

// Until it is known who needs records nothing goes. When that is known, when somebody has got more, and when the disk
// fills, it is looked at again.
func TestRetentionHoldsInTime(t *testing.T) {
	s := aged(t, 60)
	var free, next atomic.Int64
	var known atomic.Bool
	free.Store(1 << 40)
	s.fs = &faultFS{free: &free}
	retain := retaining(60, 24*time.Hour)
	news, looked := make(chan string, 64), make(chan bool, 64)
	s.tune = func(o *accesslog.Options) {
		retain(o)
		o.Hold, o.Low = 1000*time.Hour, 1001
		o.Holders = func() ([]accesslog.Holder, bool) {
			looked <- true
			return []accesslog.Holder{{"the sink siem", next.Load()}, {"the sink slow", next.Load() + 15}}, known.Load()
		}
		o.Noticed = func(s accesslog.Space, err error) { news <- fmt.Sprint(s.Low, err) }
	}
	l := s.open(t)
	defer l.Close()
	<-looked
	// tidied has the upkeep look at the segments, and returns when it has done what it had to.
	tidied := func() {
		for range 2 { // the second time, the first one is over
			for len(looked) > 0 {
				<-looked
			}
			l.Tidy()
			<-looked
		}
	}
	begin := func() int64 {
		n, err := accesslog.First(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	until := func(want string) {
		t.Helper()
		for got := range news {
			if strings.Contains(got, want) {
				return
			}
		}
	}
	if n := begin(); n != 0 {
		t.Errorf("%d records were removed before anybody was known", n)
	}
	known.Store(true)
	tidied()
	until("wait for the sink siem")
	if n := begin(); n != 0 {
		t.Errorf("%d records were removed", n)
	}
	next.Store(15)
	tidied()
	if n := begin(); n > 15 {
		t.Errorf("%d records were removed, and the sink has 15", n)
	}
	free.Store(1000)
	until("true") // it is told before anything is done about it
	until("true <nil>")
	if n := begin(); n < 20 {
		t.Errorf("%d records were removed while the disk is full", n)
	}
	if l.Neglect() != nil {
		t.Error(l.Neglect())
	}
}

// A closed segment whose end cannot be read is told of, and nothing is removed.
func TestRetentionCannotRead(t *testing.T) {
	s := aged(t, 60)
	b := s.get(t, "000001.jsonl")
	s.put(t, "000001.jsonl", append(b[:len(b)-30], "nonsense\n"...))
	s.tune = retaining(60, 24*time.Hour)
	l, tidy, err := s.idle()
	if err != nil {
		t.Fatal(err)
	}
	if err := tidy(); err == nil || errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if len(s.names(t, "000001.jsonl")) != 1 {
		t.Error("it was removed")
	}
}
