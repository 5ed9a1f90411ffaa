// Package index keeps a SQLite file beside an access log, by which questions about a patient, a ticket, an
// actor, a call or a time find their records without reading the whole log.
//
// The log is what counts. The file holds no record and no name: numbers, places, and 64 bits of a hash of
// each name. What it leads to is read from the log's own lines, held to the hash that the log's next line
// has for it, and to the question; what lies behind the file's end is read from the log. A file that does
// not have the sum that it was closed with, that is of another log or leads to something else than it
// should is not used: it is made anew by [Update], and until then [Open] says why. Deleting it loses
// nothing.
//
// The sum shows what a disk or a crash has done to the file, and no more: who can write the folder can
// write a file that leaves records out. Where that is feared, the log is to be read itself.
package index

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

const (
	fileName = "index.sqlite"
	sumName  = "index.sum"
	lockName = "index.lock"
	version  = 2
)

// ErrNone is returned by [Open] where there is no index.
var ErrNone = errors.New("there is no index")

// ErrUnusable is wrapped by why an index that is there is not used.
var ErrUnusable = errors.New("the index cannot be used")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnusable, fmt.Errorf(format, args...))
}

// schema: place has every record; posting has the records of each name, by key.
const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE place (seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, time INTEGER NOT NULL);
CREATE INDEX place_time ON place (time);
CREATE TABLE posting (key INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) WITHOUT ROWID;`

// key is what a name is found by. Two names with one key cost a look at a record that does not fit.
func key(kind byte, name string) int64 {
	sum := sha256.Sum256(append([]byte{kind}, name...))
	return int64(binary.LittleEndian.Uint64(sum[:]))
}

// keys are what a record is found by; each corresponds to what [accesslog.Query.Fits] looks at.
func keys(r *accesslog.Record, to []int64) []int64 {
	add := func(kind byte, name string) {
		if name != "" {
			to = append(to, key(kind, name))
		}
	}
	add('t', r.Ticket.ID)
	for id := range r.Calls() {
		add('c', id)
	}
	add('a', r.Actor.Subject)
	add('a', r.Actor.Client)
	for _, p := range r.Patients {
		add('p', p)
	}
	for _, s := range r.Subjects {
		add('p', s)
	}
	for _, p := range r.Request.Parameters {
		for _, v := range p.Values {
			add('v', v)
		}
	}
	add('p', r.Request.Reference())
	return to
}

// conditions are the keys of a query: of each list, a record has one. The rarest names come first.
func conditions(q *accesslog.Query) (all [][]int64) {
	if q.Correlation != "" {
		all = append(all, []int64{key('c', q.Correlation)})
	}
	if q.Value != "" {
		all = append(all, []int64{key('v', q.Value)})
	}
	if q.Ticket != "" {
		all = append(all, []int64{key('t', q.Ticket)})
	}
	if q.Patient != "" {
		all = append(all, []int64{key('p', q.Patient), key('p', q.Reference())})
	}
	if q.Actor != "" {
		all = append(all, []int64{key('a', q.Actor)})
	}
	return all
}

func open(name, pragmas string) (*sql.DB, error) {
	// A path is not a URI: "?" and "%" in it would be taken for something else.
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(name)
	db, err := sql.Open("sqlite", "file:"+escaped+"?"+pragmas)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// sum is the content's hash, as the file of sums has it.
func sum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)) + "\n", nil
}

// check compares the file with its sum.
func check(dir string) error {
	for _, name := range []string{fileName, sumName} { // a pipe in its place would keep a reader for ever
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.Mode().IsRegular() {
			return unusable("%s is no file", name)
		}
	}
	got, err := sum(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	if err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(dir, sumName))
	if errors.Is(err, fs.ErrNotExist) {
		return unusable("it was not closed")
	}
	if err != nil {
		return err
	}
	if string(want) != got {
		return unusable("it is not what was closed")
	}
	return nil
}

// readEnd reads how far the index goes.
func readEnd(db *sql.DB) (end accesslog.End, err error) {
	values := map[string]string{}
	rows, err := db.Query("SELECT name, value FROM meta")
	if err != nil {
		return end, unusable("%w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return end, unusable("%w", err)
		}
		values[name] = value
	}
	if err := rows.Err(); err != nil {
		return end, unusable("%w", err)
	}
	if values["version"] != strconv.Itoa(version) {
		return end, unusable("it is of version %q", values["version"])
	}
	last, err := hex.DecodeString(values["last"])
	if err == nil {
		end.Records, err = strconv.ParseInt(values["records"], 10, 64)
	}
	if err == nil {
		_, err = fmt.Sscanf(values["next"], "%d %d", &end.Next.Segment, &end.Next.Offset)
	}
	if err != nil || copy(end.Last[:], last) != len(end.Last) {
		return end, unusable("it does not say how far it goes")
	}
	return end, nil
}

func writeEnd(tx *sql.Tx, end accesslog.End) error {
	for name, value := range map[string]string{
		"version": strconv.Itoa(version), "records": strconv.FormatInt(end.Records, 10),
		"next": fmt.Sprintf("%d %d", end.Next.Segment, end.Next.Offset), "last": hex.EncodeToString(end.Last[:]),
	} {
		if _, err := tx.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, value); err != nil {
			return err
		}
	}
	return nil
}
