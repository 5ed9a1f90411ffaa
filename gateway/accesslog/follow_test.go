package accesslog_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// follows reads what is durable, and checks that it is each record once and in order.
func follows(t *testing.T, l *accesslog.Log, f *accesslog.Follower) (n int) {
	t.Helper()
	for limit := l.Durable(); ; n++ {
		at := f.Position()
		r, line, err := f.Next(limit)
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if again, err := accesslog.Decode(line); err != nil || r.Sequence != at || again.Sequence != at {
			t.Fatalf("record %d at %d: %v", r.Sequence, at, err)
		}
	}
}

func TestAFollowerReadsWhatIsWrittenMeanwhile(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	watch := l.Watch()
	f := accesslog.NewFollower(s.dir, 0)
	defer f.Close()
	total := 0
	for round := range 40 { // over several segments
		appendN(t, l, total, 25)
		total += 25
		<-watch
		if n := follows(t, l, f); n != 25 {
			t.Fatalf("round %d: %d records", round, n)
		}
	}
	if last, _ := filepath.Glob(filepath.Join(s.dir, "*.jsonl")); len(last) < 3 {
		t.Fatalf("only the segments %v", last)
	}
	for _, from := range []int64{0, 1, 333, int64(total) - 1, int64(total)} {
		other := accesslog.NewFollower(s.dir, from)
		if n := follows(t, l, other); int64(n) != int64(total)-from {
			t.Errorf("from %d: %d records", from, n)
		}
		other.Close()
	}
	if l.Durable() != int64(total) {
		t.Errorf("%d are durable of %d", l.Durable(), total)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if again := s.open(t); again.Durable() != int64(total) {
		t.Errorf("%d are durable after a restart", again.Durable())
	}
}

func TestAFollowerNamesDamage(t *testing.T) {
	s := newSite(t)
	s.fill(t, 600)
	segment := filepath.Join(s.dir, "000002.jsonl")
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"missing":   func() error { return os.Remove(segment) },
		"cut":       func() error { return os.WriteFile(segment, whole[:len(whole)/2], 0o600) },
		"no record": func() error { return os.WriteFile(segment, append([]byte("{}\n"), whole...), 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		f := accesslog.NewFollower(s.dir, 0)
		var damage *accesslog.Damage
		for err == nil {
			_, _, err = f.Next(600)
		}
		if !errors.As(err, &damage) {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
		err = nil
		if e := os.WriteFile(segment, whole, 0o600); e != nil {
			t.Fatal(e)
		}
	}
	f := accesslog.NewFollower(s.dir, 0)
	defer f.Close()
	if _, _, err := f.Next(0); !errors.Is(err, io.EOF) {
		t.Errorf("beyond the limit: %v", err)
	}
	for range 600 {
		if _, _, err := f.Next(600); err != nil {
			t.Fatal(err)
		}
	}
	var damage *accesslog.Damage
	if _, _, err := f.Next(601); !errors.As(err, &damage) { // the caller says that it is durable, and it is not there
		t.Error(fmt.Sprint(err))
	}
}

// Whoever has an end reads on from there, without knowing what is durable, while segments are written and closed.
func TestAFollowerFromAnEnd(t *testing.T) {
	s := newSite(t)
	l := s.open(t)
	const many = 1500 // over several segments
	written := make(chan error, 1)
	go func() {
		for i := range many {
			if _, err := l.Append(small(i)); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	var end accesslog.End
	places := map[accesslog.Place]bool{}
	for end.Records < many {
		f, err := accesslog.FollowFrom(s.dir, end)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 100 && end.Records < many; {
			r, _, err := f.Next(accesslog.Whole)
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil || r.Sequence != end.Records || places[f.Place()] {
				t.Fatalf("record %v behind %d: %v", r, end.Records, err)
			}
			places[f.Place()] = true
			end = f.End()
			i++
		}
		f.Close()
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if last, _ := filepath.Glob(filepath.Join(s.dir, "*.jsonl")); len(last) < 3 {
		t.Fatalf("only the segments %v", last)
	}
	other := end
	other.Last[0] ^= 1
	if _, err := accesslog.FollowFrom(s.dir, other); !errors.Is(err, accesslog.ErrElsewhere) {
		t.Errorf("from an end of another log: %v", err)
	}
}

// A record that was changed is not passed over, by whoever reads on from its number as well.
func TestAFollowerHoldsTheChain(t *testing.T) {
	s := newSite(t)
	s.fill(t, 600)
	segment := string(s.get(t, "000002.jsonl"))
	last := strings.LastIndex(segment, "agent-7")
	for _, c := range []struct{ text, names string }{
		{strings.Replace(segment, "agent-7", "agent-8", 1), "000002.jsonl"},
		{segment[:last] + "agent-8" + segment[last+7:], "000003.jsonl"}, // the last record of the segment
	} {
		s.put(t, "000002.jsonl", []byte(c.text))
		f := accesslog.NewFollower(s.dir, 5)
		var damage *accesslog.Damage
		var err error
		for err == nil {
			_, _, err = f.Next(600)
		}
		if !errors.As(err, &damage) || damage.File != c.names || !strings.Contains(damage.Reason, "does not continue") || damage.Seq != f.Position() {
			t.Errorf("%s: %v", c.names, err)
		}
		if _, _, again := f.Next(600); again == nil {
			t.Error("the next try goes on")
		}
		f.Close()
	}
}
