// Package reviews makes a reviewer's question to the access log a record of that log.
//
// A question is asked by another program than the gateway, which alone may write the log while it runs.
// So the gateway listens on a Unix socket beside the log's folder ([Socket]), and whoever is about to
// read the log says there what for. The socket has the folder's own permissions, so that who may read
// the log may say so; and on Linux the kernel says who speaks, so that nobody can speak as another. There
// is no token to hand out, and no key: a reviewer must not hold what the log is signed with.
//
// [Announce] returns after the record is durable. Nothing of the log is read before that.
package reviews

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// A Review is what somebody is about to ask the log.
type Review struct {
	Command  string   `json:"command"`            // "who-saw"
	Asked    string   `json:"asked,omitempty"`    // its conditions in words; no patient's real id
	Patients []string `json:"patients,omitempty"` // whom it is about: keyed hashes, or tokens as clients were given them
	Reason   string   `json:"reason,omitempty"`
	Case     string   `json:"case,omitempty"` // the ticket under which it is asked
	Sudo     string   `json:"sudo,omitempty"` // on whose behalf root asks, as the asker says
}

// A Person is who asks.
type Person struct {
	Name    string // the account's
	Machine string
	Proven  bool // the kernel says so
}

// ErrReview is a review that cannot be recorded as it is.
var ErrReview = errors.New("not a review")

// maxText bounds a review's texts, in bytes.
const maxText = 2 << 10

var (
	command = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)
	hash    = regexp.MustCompile(`^[0-9A-Za-z_-]{22}$`)
	token   = regexp.MustCompile(`^[tv][0-9A-Za-z]{20,63}$`)
)

// Record is the record that a question leaves, or [ErrReview].
func (r *Review) Record(by Person) (*accesslog.Record, error) {
	if !command.MatchString(r.Command) || len(r.Patients) > 64 {
		return nil, ErrReview
	}
	for _, s := range []string{r.Asked, r.Reason, r.Case, r.Sudo} {
		if len(s) > maxText || !utf8.ValidString(s) {
			return nil, fmt.Errorf("%w: a text is too long", ErrReview)
		}
	}
	rec := &accesslog.Record{
		Kind: accesslog.KindAdmin, Code: "audit-" + r.Command, Reason: r.Reason, Ticket: accesslog.Ticket{ID: r.Case},
		Actor:  accesslog.Actor{Subject: by.Name, Issuer: "urn:halfdoor:account:" + by.Machine},
		Detail: strings.TrimSpace(r.Command + " " + r.Asked),
	}
	if !by.Proven {
		rec.Detail += " (by an account as it calls itself)"
	}
	if r.Sudo != "" {
		rec.Detail += " (for " + r.Sudo + ", as root says)"
	}
	for _, p := range r.Patients {
		switch {
		case hash.MatchString(p):
			rec.Patients = append(rec.Patients, p)
		case token.MatchString(p):
			rec.Subjects = append(rec.Subjects, "Patient/"+p)
		default:
			return nil, fmt.Errorf("%w: a patient is named by neither a hash nor a token", ErrReview)
		}
	}
	return rec, nil
}

// Socket is where the gateway that writes the log in this folder listens. It is beside the folder and not
// in it, since programs that copy a folder stumble over a socket.
func Socket(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", err
	}
	return real + ".sock", nil
}
