package accesslog

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A proof is a text in the form of C2SP tlog-proof, which needs nothing but the log's public key:
//
//	c2sp.org/tlog-proof@v1
//	extra <base64 of the record's RFC 6962 hash, 32 bytes, and the record's line without its newline>
//	index <seq>
//	<hash of the path, RFC 6962 section 2.1.1, the deepest first>
//	…
//
//	<checkpoint, with its signatures>
//
// The record's hash in it adds nothing to what is proven. It tells a record that was changed from a path
// that was.
const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxProof    = (MaxRecord+tlog.HashSize)*4/3 + 64*64 + maxCheckpoint + 256
)

// A ProofError names which part of a proof does not hold.
type ProofError struct {
	Part   string // "form", "record", "path", "checkpoint"
	Reason string
	err    error
}

// Error names the part and the reason.
func (e *ProofError) Error() string { return "the proof's " + e.Part + " does not hold: " + e.Reason }

// Unwrap returns the sentinel behind it, if there is one.
func (e *ProofError) Unwrap() error { return e.err }

// Prove writes the proof that the record with this number is in the log's checkpoint. It reads the whole
// log, in the memory of a [Verify], and verifies it on the way: damage is returned as [*Damage].
func Prove(ctx context.Context, o VerifyOptions, seq int64) ([]byte, error) {
	of, err := parseKeys(o.Key)
	if err != nil {
		return nil, err
	}
	if _, _, err := of.follow(o.Dir); err != nil {
		return nil, err
	}
	signed := signing{message: o.Checkpoint}
	if signed.message == nil {
		if signed, _, err = newestCheckpoint(o.Dir, of); err != nil {
			return nil, err
		}
	} else if signed.checkpoint, err = parseCheckpoint(signed.message, of); err != nil {
		return nil, checkpointDamage(checkpointFile, err)
	}
	if seq < 0 || seq >= signed.size {
		return nil, fmt.Errorf("%w: the checkpoint signs %d records, from 0 on: there is no %d", ErrRecord, signed.size, seq)
	}
	at, err := listSegments(o.Dir, of)
	if err != nil {
		return nil, err
	}
	path := pathOf(seq, 0, signed.size)
	if b := at.base; b != nil {
		if seq < b.tree.size {
			return nil, fmt.Errorf("%w: record %d was removed by retention, as all before %d", ErrRecord, seq, b.tree.size)
		}
		for i := range path {
			path[i].begin(&b.tree)
		}
	}
	var record []byte
	w := newWalk(o.Dir, at, mark{signed.checkpoint, "the checkpoint"})
	w.each = func(line []byte) {
		n := w.tree.size - 1
		if n == seq {
			record = bytes.Clone(line)
		}
		for i := range path {
			if p := &path[i]; p.low <= n && n < p.high {
				p.tree.append(tlog.RecordHash(line))
			}
		}
		if o.Progress != nil && w.tree.size%progressEvery == 0 {
			o.Progress(w.tree.size)
		}
	}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	hash := tlog.RecordHash(record)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(append(hash[:], record...)), seq)
	for i := range path {
		fmt.Fprintln(&b, path[i].tree.root())
	}
	b.WriteByte('\n')
	b.Write(signed.message)
	return b.Bytes(), nil
}

// A span is a subtree whose root is in a path.
type span struct {
	low, high int64
	tree      tree
}

// begin takes what a tree that the path's leaf is not in has of the subtree. Both are made of complete
// subtrees, so that one of the tree's nodes is either inside or apart.
func (s *span) begin(t *tree) {
	at := int64(0)
	for i, left := 0, t.size; left > 0; i++ {
		size := int64(1) << (bits.Len64(uint64(left)) - 1)
		if at >= s.low && at < s.high {
			s.tree.nodes = append(s.tree.nodes, t.nodes[i])
			s.tree.size += size
		}
		at, left = at+size, left-size
	}
}

// pathOf is RFC 6962, section 2.1.1: the subtrees beside the way from leaf n to the root of [low, high).
func pathOf(n, low, high int64) []span {
	if high-low == 1 {
		return nil
	}
	k := int64(1)
	for k*2 < high-low {
		k *= 2
	}
	if n < low+k {
		return append(pathOf(n, low, low+k), span{low: low + k, high: high})
	}
	return append(pathOf(n, low+k, high), span{low: low, high: low + k})
}

// Proven is what a proof shows.
type Proven struct {
	Origin  string // of the log, from the key
	Size    int64  // of the checkpoint, in records
	Root    string // of the checkpoint, in base64
	Record  *Record
	Encoded []byte // the record's line
}

// CheckProof checks a proof with the log's public key alone, or several between white space. What does not hold is a [*ProofError].
func CheckProof(proof []byte, key string) (*Proven, error) {
	of, err := parseKeys(key)
	if err != nil {
		return nil, err
	}
	malformed := func(reason string) (*Proven, error) { return nil, &ProofError{Part: "form", Reason: reason} }
	if len(proof) > maxProof {
		return malformed("it is longer than any proof")
	}
	head, message, ok := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 3 || lines[0] != proofHeader {
		return malformed("it is not a C2SP tlog-proof")
	}
	text, extra := strings.CutPrefix(lines[1], "extra ")
	number, index := strings.CutPrefix(lines[2], "index ")
	seq, err := parseSize(number)
	held, decoding := base64.StdEncoding.Strict().DecodeString(text)
	if !extra || !index || err != nil || decoding != nil || len(held) < tlog.HashSize {
		return malformed("the record or its number cannot be read")
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		h, err := parseHash(line)
		if err != nil {
			return nil, &ProofError{Part: "path", Reason: "it holds what is not a hash"}
		}
		path = append(path, h)
	}
	signed, err := parseCheckpoint(message, of)
	if err != nil {
		return nil, &ProofError{Part: "checkpoint", Reason: err.Error(), err: err}
	}
	line := held[tlog.HashSize:]
	hash := tlog.RecordHash(line)
	if !bytes.Equal(hash[:], held[:tlog.HashSize]) {
		return nil, &ProofError{Part: "record", Reason: "it does not have the hash that it had when the proof was made"}
	}
	r, err := Decode(line)
	if err != nil {
		return nil, &ProofError{Part: "record", Reason: err.Error(), err: err}
	}
	if r.Sequence != seq {
		return nil, &ProofError{Part: "record", Reason: fmt.Sprintf("it is record %d, and the proof is of record %d", r.Sequence, seq)}
	}
	if seq >= signed.size {
		return nil, &ProofError{Part: "path", Reason: fmt.Sprintf("the checkpoint signs %d records, and the proof is of record %d", signed.size, seq)}
	}
	if tlog.CheckRecord(path, signed.size, signed.root, seq, hash) != nil {
		return nil, &ProofError{Part: "path", Reason: "it does not lead from this record to what the checkpoint signs"}
	}
	return &Proven{Origin: of.origin(), Size: signed.size, Root: signed.root.String(), Record: r, Encoded: line}, nil
}
