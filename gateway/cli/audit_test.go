package cli_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/reviews"
)

// TestAudit runs the reviewers' questions over logs that the scripts spell out.
func TestAudit(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/audit", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"records": records, "cosign": cosign, "answers": answers}})
}

// answers SITE STATUS has something answer each question to the log of a site with a status, as its gateway would.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers SITE STATUS")
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	socket, err := reviews.Socket(filepath.Join(ts.MkAbs(args[0]), "log"))
	ts.Check(err)
	l, err := net.Listen("unix", socket)
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })}
	go server.Serve(l)
	ts.Defer(func() { server.Close() })
}

// cosign SITE NAME has a witness of this name cosign the log's checkpoint, and sets NAME in the script to its key.
func cosign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cosign SITE NAME")
	}
	dir, name := filepath.Join(ts.MkAbs(args[0]), "log"), args[1]
	public, private, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	key := append([]byte{4}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	ts.Setenv(name, fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(key)))
	message, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	ts.Check(err)
	size := strings.Split(string(message), "\n")[1]
	file := filepath.Join(dir, "witnessed."+size)
	if kept, err := os.ReadFile(file); err == nil {
		message = kept
	}
	text, _, _ := strings.Cut(string(message), "\n\n")
	sig := binary.BigEndian.AppendUint64(sum[:4:4], 1772600000)
	sig = append(sig, ed25519.Sign(private, []byte("cosignature/v1\ntime 1772600000\n"+text+"\n"))...)
	ts.Check(os.WriteFile(file, append(message, "— "+name+" "+base64.StdEncoding.EncodeToString(sig)+"\n"...), 0o600))
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
