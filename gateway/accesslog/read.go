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
	"strings"
	"time"
)

// Query selects records. An empty field selects all; a record must fit every other.
type Query struct {
	Ticket      string // ticket id
	Correlation string // correlation or request id
	Actor       string // subject or client
	// Patient is a keyed hash from [Hasher.Patient], or a token as a client was given it, with or
	// without "Patient/". A record fits that names the patient, or that asked for it by id. Another
	// resource's reference ("Appointment/…") finds where that was disclosed.
	Patient string
	Since   time.Time // not before
	Until   time.Time // before
}

// Read yields the records that fit, oldest first. It reads to the end of the log as it is when it
// arrives there, also records that no checkpoint signs yet; what was allocated ahead or is being
// written is not read. A malformed line is yielded as an error, a [*Damage], and ends the reading.
//
// Read checks no hashes: [Verify] does.
func Read(dir string, q Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for n := 1; ; n++ {
			next, err := readSegment(dir, n, &q, yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !next {
				return
			}
		}
	}
}

// readSegment reports whether the next segment is to be read.
func readSegment(dir string, n int, q *Query, yield func(*Record, error) bool) (bool, error) {
	f, err := os.Open(filepath.Join(dir, segmentName(n)))
	if errors.Is(err, os.ErrNotExist) && n == 1 {
		// An empty log; but a folder that is none, or lacks its beginning, is an error.
		_, _, err = listSegments(dir)
		return false, err
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	in := newLines(f, 0)
	needles := q.needles()
	at := place{segment: n}
	for closed := false; ; {
		at.line, at.offset = at.line+1, in.offset
		line, err := in.next()
		switch {
		case err == nil:
			if misses(line, needles) {
				continue
			}
			r, err := Decode(line)
			if err != nil {
				return false, &Damage{File: segmentName(n), Line: at.line, Seq: -1, Offset: at.offset, Reason: err.Error(), err: err}
			}
			if q.Fits(r) && !yield(r, nil) {
				return false, nil
			}
			continue
		case errors.Is(err, errLong):
			return false, &Damage{File: segmentName(n), Line: at.line, Seq: -1, Offset: at.offset, Reason: "the line is longer than any record"}
		case !errors.Is(err, io.EOF) && !errors.Is(err, errTorn):
			return false, err
		}
		_, statErr := os.Stat(filepath.Join(dir, segmentName(n+1)))
		switch {
		case errors.Is(statErr, os.ErrNotExist):
			_, _, err = listSegments(dir) // a gap is not the end
			return false, err
		case statErr != nil:
			return false, statErr
		case !closed:
			// The segment was closed since: lines may have come before that, and none will now.
			closed = true
			in.forget()
			at.line--
		case errors.Is(err, errTorn):
			return false, &Damage{File: segmentName(n), Line: at.line, Seq: -1, Offset: at.offset, Reason: "the line is incomplete, although the segment is closed"}
		default:
			return true, nil
		}
	}
}

// Fits reports whether the query selects a record.
func (q *Query) Fits(r *Record) bool {
	return (q.Ticket == "" || r.Ticket.ID == q.Ticket) &&
		(q.Correlation == "" || r.Correlation == q.Correlation || r.RequestID == q.Correlation) &&
		(q.Actor == "" || r.Actor.Subject == q.Actor || r.Actor.Client == q.Actor) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) &&
		(q.Until.IsZero() || r.Time.Before(q.Until)) &&
		(q.Patient == "" || q.names(r))
}

// names reports whether the record is about the patient.
func (q *Query) names(r *Record) bool {
	reference := q.Patient
	if !strings.Contains(reference, "/") {
		reference = "Patient/" + reference
	}
	return slices.Contains(r.Patients, q.Patient) ||
		slices.Contains(r.Subjects, reference) ||
		r.Request.ID != "" && r.Request.Type+"/"+r.Request.ID == reference
}

// needles are what a line must hold, as it is spelt there, if its record is to fit.
func (q *Query) needles() (needles [][]byte) {
	for _, value := range []string{q.Ticket, q.Correlation, q.Actor, q.Patient[strings.LastIndexByte(q.Patient, '/')+1:]} {
		escaped := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) >= 0
		if value != "" && !escaped {
			needles = append(needles, []byte(value))
		}
	}
	return needles
}

// misses reports whether a line of this version lacks a needle. Such a line is not worth decoding,
// which takes ten times as long; it must be whole nevertheless.
func misses(line []byte, needles [][]byte) bool {
	for _, n := range needles {
		if !bytes.Contains(line, n) {
			_, _, _, sealed := parseSeal(line)
			return sealed && bytes.HasPrefix(line, []byte(`{"v":1,`)) && json.Valid(line)
		}
	}
	return false
}
