package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

var logEngines = []string{"accesslog", "sqlite", "fsync-each"}

// A logEngine returns from Append when the record is on the disk. Append may be called concurrently.
type logEngine interface {
	Append(*accesslog.Record) error
	Bytes() float64 // of a record, on the average
	Close() error
}

func openLogEngine(name, dir string) (logEngine, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	switch name {
	case "accesslog":
		signer, _, err := accesslog.GenerateKey("bench.example/log")
		if err != nil {
			return nil, err
		}
		l, err := accesslog.Open(accesslog.Options{Dir: dir, SigningKey: []byte(signer), PatientKey: make([]byte, 32)})
		if err != nil {
			return nil, err
		}
		return &ownLog{Log: l, dir: dir}, nil
	case "sqlite":
		return openSQLite(filepath.Join(dir, "log.sqlite"))
	case "fsync-each":
		f, err := os.OpenFile(filepath.Join(dir, "log.jsonl"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		return &fsyncLog{file: f}, err
	}
	return nil, fmt.Errorf("no such engine; there are: %v", logEngines)
}

// ownLog is the gateway's.
type ownLog struct {
	*accesslog.Log
	dir   string
	count atomic.Int64
}

func (l *ownLog) Append(r *accesslog.Record) error {
	_, err := l.Log.Append(r)
	l.count.Add(1)
	return err
}

// Bytes counts what the segments hold: what was allocated ahead is space, and no record.
func (l *ownLog) Bytes() float64 {
	size, err := folderBytes(l.dir)
	if err != nil {
		return 0
	}
	return float64(size) / float64(max(1, l.count.Load()))
}

// sizes counts what a peer was given.
type sizes struct{ bytes, count atomic.Int64 }

func (s *sizes) add(n int) {
	s.bytes.Add(int64(n))
	s.count.Add(1)
}

func (s *sizes) Bytes() float64 { return float64(s.bytes.Load()) / float64(max(1, s.count.Load())) }

// fsyncLog is a file of lines. Each is written and synced alone: no chain, no signature.
type fsyncLog struct {
	sizes
	mu   sync.Mutex
	file *os.File
}

func (l *fsyncLog) Append(r *accesslog.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	l.add(len(line) + 1)
	return l.file.Sync()
}

func (l *fsyncLog) Close() error { return l.file.Close() }

// sqliteLog is a table in SQLite, with a write-ahead log that is synced at each commit. Those who wait
// together share a transaction. No chain, no signature, no index but the number's.
type sqliteLog struct {
	sizes
	db     *sql.DB
	insert *sql.Stmt
	queue  chan sqliteEntry
	done   chan struct{}
}

type sqliteEntry struct {
	line   []byte
	result chan error
}

// sqliteGroup bounds a transaction, as the access log bounds a group.
const sqliteGroup = 1024

func openSQLite(name string) (*sqliteLog, error) {
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=locking_mode(EXCLUSIVE)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("CREATE TABLE record (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)")
	l := &sqliteLog{db: db, queue: make(chan sqliteEntry, sqliteGroup), done: make(chan struct{})}
	if err == nil {
		l.insert, err = db.Prepare("INSERT INTO record (line) VALUES (?)")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go l.run()
	return l, nil
}

func (l *sqliteLog) run() {
	defer close(l.done)
	for e := range l.queue {
		group := []sqliteEntry{e}
	more:
		for len(group) < sqliteGroup {
			select {
			case e, ok := <-l.queue:
				if !ok {
					break more
				}
				group = append(group, e)
			default:
				break more
			}
		}
		err := l.commit(group)
		for _, e := range group {
			e.result <- err
		}
	}
}

func (l *sqliteLog) commit(group []sqliteEntry) error {
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	insert := tx.Stmt(l.insert)
	for _, e := range group {
		if _, err := insert.Exec(e.line); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (l *sqliteLog) Append(r *accesslog.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	e := sqliteEntry{line, make(chan error, 1)}
	l.queue <- e
	l.add(len(line))
	return <-e.result
}

func (l *sqliteLog) Close() error {
	close(l.queue)
	<-l.done
	return errors.Join(l.insert.Close(), l.db.Close())
}
