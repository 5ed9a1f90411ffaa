package test

import (
	"os/exec"
	"os/user"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestQuestionsAreRecorded asks a running gateway's log, and that of one that was killed.
func TestQuestionsAreRecorded(t *testing.T) {
	bin := build(t)
	d := startDemo(t, bin)
	ask := func(fine bool, args ...string) string {
		t.Helper()
		cmd := exec.Command(bin, append([]string{"audit"}, append(args, "--log", d.env["HALFDOOR_LOG_DIR"])...)...)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if (err == nil) != fine {
			t.Fatalf("audit %s: %v\n%s", args, err, errs.String())
		}
		return string(out) + errs.String()
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	ask(true, "ticket", "INC-4711", "--case", "REV-1")
	ask(true, "anomalies", "--off-hours", "0")
	// Also one who does not want it: the gateway runs, so the question can be recorded.
	if out := ask(true, "query", "--patient", "tA00000000000000000000001", "--unrecorded"); strings.Contains(out, "warning") {
		t.Error(out)
	}
	var codes []string
	for line := range strings.Lines(ask(true, "query", "--actor", me.Username)) {
		codes = append(codes, gjson.Get(line, "code").String()+" "+gjson.Get(line, "ticket.id").String())
	}
	if got := strings.Join(codes, ","); got != "audit-ticket REV-1,audit-anomalies ,audit-query ,audit-query " {
		t.Errorf("recorded of %s: %s", me.Username, got)
	}
	d.kill(t)
	if out := ask(false, "query", "--actor", me.Username); !strings.Contains(out, "cannot be recorded") || strings.Contains(out, "audit-ticket") {
		t.Errorf("nobody can record it, and it is answered: %s", out)
	}
	if out := ask(true, "query", "--actor", me.Username, "--config", d.env["HALFDOOR_CONFIG"]); strings.Count(out, "audit-query") != 3 {
		t.Errorf("after the gateway's end: %s", out)
	}
}
