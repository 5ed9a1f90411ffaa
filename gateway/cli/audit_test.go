package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestAudit runs the reviewers' questions over logs that the scripts spell out.
func TestAudit(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/audit", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"records": records}})
}

// records SITE FILE appends the records of a file, a JSON object a line, to the access log of a site that "halfdoor
// init" made. In the file, @ID is the keyed hash of the patient with this real id, and %VALUE that of a parameter's value.
func records(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: records SITE FILE")
	}
	cfg, err := configs.Load(filepath.Join(ts.MkAbs(args[0]), "halfdoor.yaml"))
	ts.Check(err)
	log, err := accesslog.Open(accesslog.Options{Dir: cfg.AccessLog.Dir, Origin: cfg.AccessLog.Origin, SegmentBytes: 64 << 10,
		SigningKey: cfg.AccessLog.SigningKey.Bytes(), PatientKey: cfg.AccessLog.PatientKey.Bytes(), RetiringKey: cfg.AccessLog.RetiringKey.Bytes()})
	ts.Check(err)
	text, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	text = regexp.MustCompile(`@[a-z0-9-]+`).ReplaceAllFunc(text, func(id []byte) []byte {
		return []byte(log.Patient("main", string(id[1:])))
	})
	text = regexp.MustCompile(`%[A-Za-z0-9/]+`).ReplaceAllFunc(text, func(value []byte) []byte {
		return []byte(log.Hash(string(value[1:])))
	})
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		var r accesslog.Record
		ts.Check(json.Unmarshal(in.Bytes(), &r))
		_, err := log.Append(&r)
		ts.Check(err)
	}
	ts.Check(log.Close())
}
