package accesslog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// Decode reads one line of the log, without its newline. It refuses a line that this version cannot
// have written: a name that it does not know, another version, an unknown kind, something after the
// object. It checks no hash; that is [Verify]'s. The error names a place in the line, not its content.
func Decode(line []byte) (*Record, error) {
	if r := new(Record); canonical(line, r) {
		return r, nil
	}
	return decodeAny(line)
}

// decodeAny reads a line however it is spelt.
func decodeAny(line []byte) (*Record, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	r := new(Record)
	err := d.Decode(r)
	if err != nil {
		// A field of a newer version must not be mistaken for damage.
		var form struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(line, &form) == nil {
			r.Version = form.Version
		}
	}
	if r.Version != Version && (err == nil || r.Version > Version) {
		return nil, fmt.Errorf("%w: version %d of the form, this program reads version %d", ErrRecord, r.Version, Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrRecord, jsonReason(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", ErrRecord)
	}
	switch {
	case !r.Kind.known():
		return nil, fmt.Errorf("%w: unknown kind", ErrRecord)
	case r.Time.IsZero():
		return nil, fmt.Errorf("%w: no time", ErrRecord)
	case r.Sequence < 0:
		return nil, fmt.Errorf("%w: negative seq", ErrRecord)
	}
	r.Time = r.Time.UTC()
	if _, err := parseHash(r.Previous); err != nil {
		return nil, fmt.Errorf("%w: prev is not a hash", ErrRecord)
	}
	return r, nil
}

// jsonReason describes a JSON error without quoting the line.
func jsonReason(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return "not JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return "a value of the wrong type at byte " + strconv.FormatInt(kind.Offset, 10)
	}
	return "not a record's fields"
}

// parseSeal reads what seal appended: where it begins, the sequence and the hash of the line before.
func parseSeal(line []byte) (at int, seq int64, prev []byte, ok bool) {
	tail := len(line) - len(`,"prev":""}`) - 44
	if tail < 0 {
		return 0, 0, nil, false
	}
	prev, found := bytes.CutPrefix(line[tail:], []byte(`,"prev":"`))
	if !found || !bytes.HasSuffix(prev, []byte(`"}`)) {
		return 0, 0, nil, false
	}
	prev = prev[:44]
	at = bytes.LastIndex(line[:tail], []byte(`,"seq":`))
	if at < 0 {
		return 0, 0, nil, false
	}
	seq, err := strconv.ParseInt(string(line[at+len(`,"seq":`):tail]), 10, 64)
	return at, seq, prev, err == nil
}

// parseHash reads a hash in its only spelling.
func parseHash(s string) (tlog.Hash, error) {
	h, err := tlog.ParseHash(s)
	if err == nil && h.String() != s {
		err = errors.New("malformed hash")
	}
	return h, err
}

// appendHash appends h in standard base64.
func appendHash(dst []byte, h tlog.Hash) []byte {
	return base64.StdEncoding.AppendEncode(dst, h[:])
}
