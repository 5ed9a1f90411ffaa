package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query selects records. An empty field selects all; a record must fit every other.
type Query struct {
	Ticket      string // ticket id
	Correlation string // correlation or request id; that of a batch finds its entries as well
	Actor       string // subject or client
	// Patient is a keyed hash from [Hasher.Patient], or a token as a client was given it, with or
	// without "Patient/". A record fits that names the patient, or that asked for it by id. Another
	// resource's reference ("Appointment/…") finds where that was disclosed.
	Patient    string
	BreakGlass bool      // asked for emergency access, whatever came of it
	Value      string    // keyed hash from [Hasher.Hash] of a parameter's value
	Since      time.Time // not before
	Until      time.Time // before
}

// Read yields the records that fit one of the queries, or all without a query, oldest first. It reads to
// the end of the log as it is when it arrives there, also records that no checkpoint signs yet; what was
// allocated ahead or is being written is not read. What cannot be read is yielded as an error, a
// [*Damage]; a caller that goes on gets what lies behind it: the next line, or the next segment where
// the lines cannot be told apart any more.
//
// Read checks no hashes: [Verify] does.
func Read(dir string, queries ...Query) iter.Seq2[*Record, error] {
	return read(dir, Place{}, queries)
}

// read begins at a place, or at the beginning.
func read(dir string, from Place, queries []Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		scan := scan{dir: dir, queries: queries, yield: yield, from: from}
		for _, q := range queries {
			scan.needles = append(scan.needles, q.needles())
		}
		of, _ := listSegments(dir, nil) // what is wrong with it shows as it is read
		for n := max(of.first, from.Segment); n > 0; {
			n = scan.segment(n)
		}
	}
}

// A scan is one reading of a log.
type scan struct {
	dir     string
	from    Place
	queries []Query
	needles [][][]byte // of each query
	cursor  cursor     // of misses
	yield   func(*Record, error) bool
}

// segment reads a segment and returns the number of the next; 0 ends the reading.
func (s *scan) segment(n int) int {
	f, err := openStored(s.dir, n)
	if errors.Is(err, os.ErrNotExist) {
		return s.gap(n)
	}
	if errors.Is(err, errCompressed) {
		return s.unpacked(n, err)
	}
	if d := (*Damage)(nil); errors.As(err, &d) {
		if !s.yield(nil, err) {
			return 0
		}
		return n + 1
	}
	if err != nil {
		s.yield(nil, err)
		return 0
	}
	defer f.Close()
	begin := int64(0)
	if n == s.from.Segment {
		begin = s.from.Offset
	}
	in := newLines(f, begin)
	at := place{segment: n}
	damaged := func(reason string, err error) bool {
		return s.yield(nil, &Damage{File: segmentName(n), Line: at.line, Seq: -1, Offset: at.offset, Reason: reason, err: err})
	}
	for closed := false; ; {
		at.line, at.offset = at.line+1, in.offset
		line, err := in.next()
		switch {
		case err == nil:
			if s.misses(line) {
				continue
			}
			r, err := Decode(line)
			switch {
			case err != nil && !damaged(err.Error(), err):
				return 0
			case err == nil && FitAny(s.queries, r) && !s.yield(r, nil):
				return 0
			}
			continue
		case errors.Is(err, errLong):
			if !damaged("the line is longer than any record", nil) {
				return 0
			}
			return n + 1
		case errors.Is(err, errCompressed):
			return s.unpacked(n, err)
		case !errors.Is(err, io.EOF) && !errors.Is(err, errTorn):
			s.yield(nil, err)
			return 0
		}
		statErr := hasSegment(s.dir, n+1)
		switch {
		case errors.Is(statErr, os.ErrNotExist):
			return s.gap(n + 1) // a gap is not the end
		case statErr != nil:
			s.yield(nil, statErr)
			return 0
		case !closed:
			// The segment was closed since: lines may have come before that, and none will now.
			closed = true
			in.forget()
			at.line--
		case errors.Is(err, errTorn):
			if !damaged("the line is incomplete, although the segment is closed", nil) {
				return 0
			}
			return n + 1
		default:
			return n + 1
		}
	}
}

// unpacked tells of a compressed segment of which no more can be read, and returns the next.
func (s *scan) unpacked(n int, err error) int {
	d := fileDamage(compressedName(n), err.Error())
	d.err = err
	if !s.yield(nil, d) {
		return 0
	}
	return n + 1
}

// gap tells of segments that are missing from n on, and returns the next that is there; 0 where the log
// ends, or the folder is none.
func (s *scan) gap(n int) int {
	of, err := listSegments(s.dir, nil)
	var d *Damage
	if err == nil || !errors.As(err, &d) {
		if err != nil {
			s.yield(nil, err)
		} else if of.last >= n {
			return max(n, of.first) // it was begun since, or retention has come by
		}
		return 0
	}
	names, _ := filepath.Glob(filepath.Join(s.dir, "*"+segmentSuffix+"*"))
	next := 0
	for _, name := range names {
		base := filepath.Base(name)
		m, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(base, ".zst"), segmentSuffix))
		if err == nil && m >= n && (segmentName(m) == base || compressedName(m) == base) && (next == 0 || m < next) {
			next = m
		}
	}
	if next == 0 || !s.yield(nil, fileDamage(segmentName(n), "the segment is missing, although "+segmentName(next)+" exists")) {
		return 0
	}
	return next
}

// FitAny reports whether one of the queries selects a record; no query at all selects every one.
func FitAny(queries []Query, r *Record) bool {
	return len(queries) == 0 || slices.ContainsFunc(queries, func(q Query) bool { return q.Fits(r) })
}

// Fits reports whether the query selects a record.
func (q *Query) Fits(r *Record) bool {
	return (q.Ticket == "" || r.Ticket.ID == q.Ticket) &&
		(q.Correlation == "" || r.Correlation == q.Correlation || r.RequestID == q.Correlation || strings.HasPrefix(r.RequestID, q.Correlation+"#")) &&
		(!q.BreakGlass || r.BreakGlass != nil) &&
		(q.Actor == "" || r.Actor.Subject == q.Actor || r.Actor.Client == q.Actor) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) &&
		(q.Until.IsZero() || r.Time.Before(q.Until)) &&
		(q.Patient == "" || q.names(r)) &&
		(q.Value == "" || slices.ContainsFunc(r.Request.Parameters, func(p Parameter) bool { return slices.Contains(p.Values, q.Value) }))
}

// Reference is the patient as records name what was disclosed or asked for.
func (q *Query) Reference() string {
	if strings.Contains(q.Patient, "/") {
		return q.Patient
	}
	return "Patient/" + q.Patient
}

// names reports whether the record is about the patient.
func (q *Query) names(r *Record) bool {
	reference := q.Reference()
	return slices.Contains(r.Patients, q.Patient) ||
		slices.Contains(r.Subjects, reference) ||
		r.Request.Reference() == reference
}

// needles are what a line must hold, as it is spelt there, if its record is to fit.
func (q *Query) needles() (needles [][]byte) {
	for _, value := range []string{q.Ticket, q.Correlation, q.Actor, q.Patient[strings.LastIndexByte(q.Patient, '/')+1:], q.Value} {
		escaped := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) >= 0
		if value != "" && !escaped {
			needles = append(needles, []byte(value))
		}
	}
	if q.BreakGlass {
		needles = append(needles, []byte(`"break_glass"`))
	}
	return needles
}

// misses reports whether a line of this version lacks a needle of each query. Such a line is not worth
// decoding; it must be whole nevertheless.
func (s *scan) misses(line []byte) bool {
	for _, needles := range s.needles {
		if !slices.ContainsFunc(needles, func(n []byte) bool { return !bytes.Contains(line, n) }) {
			return false
		}
	}
	if len(s.needles) == 0 {
		return false
	}
	_, _, _, sealed := parseSeal(line)
	return sealed && (s.cursor.whole(line) || bytes.HasPrefix(line, []byte(`{"v":1,`)) && json.Valid(line))
}
