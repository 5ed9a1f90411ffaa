package witness_test

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/witness"
)

// FuzzAnswer: of whatever a witness answers, nothing but one line with its own cosignature comes under the checkpoint, and a
// size is one as C2SP tlog-witness spells it.
func FuzzAnswer(f *testing.F) {
	key, verifier, err := accesslog.GenerateKey(origin)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		f.Fatal(err)
	}
	text := origin + "\n9\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	message, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		f.Fatal(err)
	}
	s, other := newServer(f, "east.example/w", verifier), newServer(f, "east.example/w", verifier)
	by := s.cosigner(f)
	good := s.line(text)
	add := func(status int, kind string, body string, fine bool) {
		lines, size, err := witness.Judge(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}}, []byte(body))
		if err == nil {
			_, _, err = by.Add(message, lines, origin)
		}
		if fine != (err == nil || size >= 0) {
			f.Fatalf("the seed %d %q comes to %v", status, body, err)
		}
		f.Add(status, kind, []byte(body))
	}
	add(200, "text/plain", good, true)
	add(200, "", "— other.example AAAAAGFiY2Q=\n"+other.line(text)+good, true)
	add(200, "", good+good, true)
	add(200, "", strings.TrimSuffix(good, "\n"), false)
	add(200, "", s.line(strings.Replace(text, "9", "8", 1)), false)
	add(200, "", s.lineAt(text, 1<<63), false)
	add(200, "", "\n"+text+"\n"+good, true)
	add(200, "", "— east.example/w \n", false)
	add(409, "text/x.tlog.size", "20852014\n", true)
	add(409, "text/x.tlog.size", "020\n", false)
	add(409, "text/plain", "20\n", false)
	add(422, "text/plain", good, false)
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		lines, size, err := witness.Judge(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}}, body)
		if size >= 0 && (status != 409 || strings.TrimSuffix(string(body), "\n") != strconv.FormatInt(size, 10)) {
			t.Fatalf("%d %q is the size %d", status, body, size)
		}
		if err != nil {
			if lines != nil {
				t.Fatal("an error with lines")
			}
			return
		}
		with, c, err := by.Add(message, lines, origin)
		if err != nil {
			return
		}
		line, ok := bytes.CutPrefix(with, message)
		if !ok || bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(body, line) {
			t.Fatalf("%q comes under the checkpoint", line)
		}
		if n, err := note.Open(with, note.VerifierList(by)); err != nil || n.Text != text || c.Size != 9 || c.Witness != by.Name() {
			t.Fatalf("%v, %+v", err, c)
		}
		if _, err := c.Time.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	})
}
