package accesslog_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const childEnv = "HALFDOOR_TEST_ACCESSLOG"

// TestMain is also the process that TestKill9 kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir, os.Getenv(childEnv+"_KEY"))
		return
	}
	os.Exit(m.Run())
}

// child appends from many callers and prints each record once it is acknowledged, for ever.
func child(dir, signer string) {
	l, err := accesslog.Open(accesslog.Options{Dir: dir, SigningKey: []byte(signer), PatientKey: patientKey, SegmentBytes: 128 << 10, Compress: true})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := sample(i)
				r.Correlation = fmt.Sprintf("%d-%d-%d", os.Getpid(), c, i)
				seq, err := l.Append(r)
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				// One write, not buffered: what was printed was acknowledged before the kill.
				fmt.Fprintf(os.Stdout, "%d %s\n", seq, r.Correlation)
			}
		})
	}
	wg.Wait()
}

// Whatever was acknowledged before kill -9 is there afterwards, and the log goes on from it.
func TestKill9(t *testing.T) {
	s := newSite(t)
	s.segment = 128 << 10
	acked := map[int64]string{}
	deadline := time.Now().Add(3 * time.Second)
	rounds := 0
	for ; rounds < 30 && time.Now().Before(deadline); rounds++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+s.dir, childEnv+"_KEY="+s.signer)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := rand.IntN(400)
		for n := 0; lines.Scan(); n++ {
			var seq int64
			var correlation string
			if _, err := fmt.Sscanf(lines.Text(), "%d %s", &seq, &correlation); err != nil {
				t.Errorf("child: %s", lines.Text())
				break
			}
			if old, ok := acked[seq]; ok {
				t.Errorf("record %d was acknowledged twice: %s, %s", seq, old, correlation)
			}
			acked[seq] = correlation
			if n == kill {
				cmd.Process.Kill() // and read what it had printed until then
			}
		}
		cmd.Wait()
		if t.Failed() {
			return
		}
		// What a reviewer sees before the gateway starts again.
		v := s.mustVerify(t)
		if v.Records < int64(len(acked)) {
			t.Fatalf("round %d: %d records, %d acknowledged", rounds, v.Records, len(acked))
		}
		for seq := range acked {
			if seq >= v.CheckpointSize {
				t.Fatalf("round %d: record %d was acknowledged, and %d are signed", rounds, seq, v.CheckpointSize)
			}
		}
		l := s.open(t)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		v = s.mustVerify(t)
		all := s.records(t)
		if v.Unsigned != 0 || v.Records != int64(len(all)) {
			t.Fatalf("round %d: %+v, %d read", rounds, v, len(all))
		}
		for seq, correlation := range acked {
			if seq >= int64(len(all)) || all[seq].Correlation != correlation {
				t.Fatalf("round %d: record %d (%s) was acknowledged and is lost", rounds, seq, correlation)
			}
		}
	}
	recovered := 0
	for _, r := range s.records(t) {
		if r.Kind == accesslog.KindRecovery {
			recovered++
			if !strings.Contains(r.Detail, "adopted") && !strings.Contains(r.Detail, "cut") {
				t.Errorf("recovery says %q", r.Detail)
			}
		}
	}
	t.Logf("%d kills, %d records acknowledged, %d recoveries", rounds, len(acked), recovered)
	if rounds < 3 || len(acked) == 0 {
		t.Errorf("%d kills, %d records", rounds, len(acked))
	}
}
