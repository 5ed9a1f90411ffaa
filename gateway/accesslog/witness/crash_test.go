package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/witness"
)

const childEnv = "HALFDOOR_TEST_WITNESS"

// TestMain is also the process that TestKill9 kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Println("error", child(dir, os.Getenv(childEnv+"_KEY"), strings.Fields(os.Getenv(childEnv+"_WITNESSES"))))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child appends and has the witnesses cosign, round after round, for ever, and prints how much each has cosigned.
func child(dir, signer string, witnesses []string) error {
	l, err := accesslog.Open(accesslog.Options{Dir: dir, Origin: origin, SigningKey: []byte(signer), PatientKey: bytes.Repeat([]byte{7}, 32), SegmentBytes: 64 << 10})
	if err != nil {
		return err
	}
	o := witness.Options{Log: l, Dir: dir, Every: time.Minute}
	for pair := range slices.Chunk(witnesses, 2) {
		key, err := accesslog.ParseCosigner(pair[0])
		if err != nil {
			return err
		}
		o.Witnesses = append(o.Witnesses, witness.Witness{Key: key, URL: pair[1], Client: http.DefaultClient})
	}
	var all *witness.Witnesses
	next := make(chan time.Time)
	close(next)
	o.After = func(time.Duration) <-chan time.Time {
		line := ""
		for _, s := range all.Statuses() {
			line += fmt.Sprintf("%d %d ", s.Cosigned, s.Failures)
		}
		fmt.Println(line) // one write: what was printed was kept before the kill
		return next
	}
	if all, err = witness.New(o); err != nil {
		return err
	}
	broken := make(chan error, 1)
	go func() {
		for {
			if _, err := l.Append(&accesslog.Record{Kind: accesslog.KindAdmin, Detail: "x"}); err != nil {
				broken <- err
				return
			}
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go all.Run(ctx)
	return <-broken
}

// TestKill9: whenever the gateway is killed, what is beside the log is what the witnesses made, no less than what was known to
// be kept, and the next start goes on from what they remember.
func TestKill9(t *testing.T) {
	s := newSite(t, "east.example/w", "west.example/w")
	s.log.Close()
	var witnesses []string
	for _, v := range s.servers {
		witnesses = append(witnesses, v.vkey(), v.URL)
	}
	kept := make([]int64, 2)
	rounds, kills := 0, 0
	for deadline := time.Now().Add(3 * time.Second); kills < 30 && time.Now().Before(deadline); kills++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+s.dir, childEnv+"_KEY="+s.key, childEnv+"_WITNESSES="+strings.Join(witnesses, " "))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		lines := bufio.NewScanner(out)
		kill := 1 + rand.IntN(40)
		for n := 0; lines.Scan(); {
			var size, failures [2]int64
			if _, err := fmt.Sscan(lines.Text(), &size[0], &failures[0], &size[1], &failures[1]); err != nil {
				t.Errorf("child: %s", lines.Text())
				break
			}
			if failures != [2]int64{} {
				t.Errorf("a witness failed: %s", lines.Text())
			}
			copy(kept, size[:])
			if size[0] > 0 && size[1] > 0 { // the first checkpoint of all is of no record
				n++
			}
			if rounds++; n == kill {
				check(t, cmd.Process.Kill()) // and read what it had printed until then
			}
		}
		cmd.Wait()
		v, err := s.verify(2)
		if err != nil {
			t.Fatalf("after kill %d, with %v kept: %v", kills, kept, err)
		}
		for i, w := range v.Witnessed {
			if w.Size < kept[i] {
				t.Errorf("%s had cosigned %d records, and %d are beside the log", w.Witness, kept[i], w.Size)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d rounds, %v records cosigned", kills, rounds, kept)
	if kills < 3 || kept[0] == 0 || kept[1] == 0 {
		t.Errorf("%d kills, %v cosigned", kills, kept)
	}
	// What a kill has left of a file that was being written goes with the next round.
	check(t, os.WriteFile(s.dir+"/witnessed.7.tmp", []byte("gateway.exa"), 0o600))
	s.open()
	s.start()
	for i := range 2 {
		s.want(i, s.log.Durable(), "", false)
	}
	if got := s.files(); len(got) != 1 {
		t.Errorf("files: %q", got)
	}
	for r, err := range accesslog.Read(s.dir) {
		check(t, err)
		if r.Code == "witnessed-damaged" {
			t.Error(r.Detail)
		}
	}
}
