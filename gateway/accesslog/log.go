// Package accesslog keeps the record of every call: who asked what about whom, why, under which
// policy, and what left. It is the gateway's legal record.
//
// # What an Append guarantees
//
// [Log.Append] returns without an error only after the record's line is on the disk (fdatasync), and
// a checkpoint that signs it is in place (in the file tip). What a caller discloses after that has its record, whatever
// happens to the process or the machine. Callers that wait together share one write, one sync and one
// checkpoint.
//
// Whatever fails while records are written (a full disk, an input/output error, a short write, a
// rename) poisons the log for ever: those who wait and all who come later get [ErrPoisoned]. Nothing
// is tried again: after a failed sync the kernel may have dropped the data and report success the
// next time.
//
// # Files
//
//	000001.jsonl …  JSON Lines ([Record], record.schema.json), one segment after the other
//	*.jsonl.zst     closed segments that were compressed (see compressed.go); any zstd unpacks them
//	checkpoint      the signed size and root of the log's tree, as of a moment ago
//	tip             the same, as of now, while the log is open (see tip.go)
//	frontier        where the next start goes on reading (see state.go)
//	retained        where the log begins, once retention has removed its oldest segments
//	key-rotation.*  a signing key that the one before has introduced (see introduce.go)
//	witnessed.*     a checkpoint that witnesses have cosigned (see witnessed.go)
//	reserve         space that is given up when the disk fills (see space.go)
//	next.tmp        the next segment, while it is prepared
//	*.torn          what a start has cut from the end after a crash
//
// Each line holds its number ("seq", from 0) and the RFC 6962 record hash of the line before
// ("prev"). The lines, without their newlines, are the leaves of the RFC 6962 Merkle tree (section
// 2.1) whose root the checkpoint signs (C2SP tlog-checkpoint and signed-note, Ed25519). The last
// segment is filled with zero bytes behind its records, so that an append changes no metadata; a
// reader stops at them.
//
// # Crashes
//
// After kill -9, records may be at the end that no checkpoint signs and that nobody was told of, and
// one may be incomplete. The next [Open] keeps the complete ones that continue the chain, signs them,
// cuts the incomplete rest (and keeps its bytes in a *.torn file), and says so in a record of kind
// recovery.
//
// A checkpoint is in the file tip with every group, before the group is acknowledged. Beside the appends it is
// renamed to the name checkpoint, at once or [renewPeriod] after the last time, and synced about once a second
// (where the disk is slow, appends wait after two) and on Close, since the records themselves already are. A power
// cut may therefore take the tip or break a part of it, and bring back a checkpoint about a second older (or an
// empty file, on file systems that rename before they write). No acknowledged record is lost by that: the records
// behind the older checkpoint are on the disk and chained. [Verify] counts them as unsigned (or says that the
// checkpoint is empty), and Open adopts them as above. Until then their last second rests on the chain alone, which
// one who can write to the disk can forge; a reviewer sees from the recovery record how many there were.
//
// Any other damage makes Open refuse with a [*Damage].
//
// # What it does not guarantee
//
// Whoever holds the signing key can write another history. Whoever can write the folder can put it
// back to an earlier state, together with its checkpoint: keep copies of the checkpoint elsewhere
// and give one to [VerifyOptions].
package accesslog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// defaultSegment is Options.SegmentBytes where it is zero.
const defaultSegment = 64 << 20

// Options are the settings of a log.
type Options struct {
	Dir        string           // the log's own folder; made where it is missing
	Origin     string           // the log's name; where set, the signing key must have been made for it
	SigningKey []byte           // the signer from [GenerateKey]
	PatientKey []byte           // at least 32 random bytes; keeps patients' hashes alike, so it is never rotated
	Now        func() time.Time // default time.Now
	FS         FS               // default the operating system's; a test may break it
	// SegmentBytes is the size of a segment, allocated ahead: default 64 MiB. The log holds up to two
	// segments more on the disk than it has records.
	SegmentBytes int64
	// SegmentAge is how old a segment's first record may be when the next segment is begun; 0 leaves it to
	// the size.
	SegmentAge time.Duration
	// Compress replaces each closed segment by a compressed one.
	Compress bool
	// Retention is for how long records are kept: a closed segment whose last record is older is removed.
	// 0 keeps all. The file "retained" is signed before, so that what is left still verifies.
	Retention time.Duration
	// Holders, where set, are those who still need records; not known yet is false, and then nothing is removed until
	// [Log.Tidy]. A segment that one of them needs is kept for Hold longer, but not while the disk has little room:
	// less than Low, or none beside the reserve.
	Holders func() (all []Holder, known bool)
	Hold    time.Duration
	// RetiringKey is the signer that signed the log until now, where SigningKey is a new one. The first
	// start with both has the old key introduce the new one; after that it is not needed.
	RetiringKey []byte
	// Reserve is space that the log holds on its disk, in bytes, and gives up when the disk has no more
	// than that: 0 holds none. Low is how much free space is worth a warning.
	Reserve, Low int64
	// syncPeriod is how long a checkpoint may stay unsynced: default a second. A test may shorten it.
	syncPeriod time.Duration
	// Noticed, where set, is called when there is something to tell of [Log.Space] or [Log.Neglect] after
	// Open: one of them has another answer than before.
	Noticed func(Space, error)
}

// Log is an open access log. Its methods may be called concurrently.
type Log struct {
	*Hasher
	dir      string
	segment  int64 // bytes
	now      func() time.Time
	fs       FS
	signer   note.Signer
	keys     keys   // that signed this log, the present one first
	public   string // the verifier's key
	lock     *os.File
	retiring note.Signer // signs as well until it has introduced signer; nil where there is none
	entries  entries
	keep     keep
	space    space
	wake     chan struct{} // holds one token: the queue may have something
	done     chan struct{} // closed when the writer has ended

	progress progress // of what is durable

	mu     sync.Mutex
	queue  []*entry
	err    error // why no more records are taken
	closed bool
	failed error // what the writer ended with

	writer // the writer goroutine's alone
}

// writer is where the log is, and what it has in hand.
type writer struct {
	tree    tree
	prev    tlog.Hash
	file    File
	number  int   // of the segment
	offset  int64 // where the next line goes
	torn    int64 // bytes from offset on that the next write must cover
	next    <-chan prepared
	begun   time.Time // the segment's first record; zero where it has none
	tip     tip
	renewal renewal
	spare   []*entry
	buf     []byte
}

// Open opens the log in a folder and takes it for this process, or makes a new one. It reads what
// follows the last signed frontier (at most a segment and a little), not the whole history. A log
// that is damaged, or that another key signed, is refused with a [*Damage] and left as it is.
func Open(o Options) (*Log, error) {
	l, err := newLog(o)
	if err != nil {
		return nil, err
	}
	if err := makeDir(l.fs, l.dir); err != nil {
		return nil, err
	}
	if l.lock, err = lockDir(l.dir); err != nil {
		return nil, err
	}
	if err := l.start(); err != nil {
		l.release()
		return nil, err
	}
	l.progress.moved(l.tree.size)
	go l.run()
	l.beginUpkeep()
	return l, nil
}

// newLog checks the options and touches nothing.
func newLog(o Options) (*Log, error) {
	public, err := VerifierKey(o.SigningKey)
	if err != nil {
		return nil, err
	}
	l := &Log{
		public: public, dir: o.Dir, segment: o.SegmentBytes, now: o.Now, fs: o.FS,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.renewal = newRenewal(o.syncPeriod)
	if l.signer, err = newSigner(o.SigningKey); err != nil {
		return nil, err
	}
	if err := checkOrigin(l.signer.Name()); err != nil {
		return nil, err
	}
	if l.keys, err = parseKeys(public); err != nil {
		return nil, err
	}
	if o.Origin != "" && o.Origin != l.signer.Name() {
		return nil, fmt.Errorf("the signing key was made for the origin %q, not for %q", l.signer.Name(), o.Origin)
	}
	if l.Hasher, err = NewHasher(o.PatientKey); err != nil {
		return nil, err
	}
	if err := l.retire(o.RetiringKey); err != nil {
		return nil, err
	}
	k := &l.keep
	k.compress, k.retention, k.age, k.noticed = o.Compress, o.Retention, o.SegmentAge, o.Noticed
	if k.hold, k.holders = o.Hold, o.Holders; k.holders == nil {
		k.holders = func() ([]Holder, bool) { return nil, true }
	}
	l.space.reserve, l.space.low = o.Reserve, o.Low
	if o.SegmentAge < 0 || o.Retention < 0 || o.Reserve < 0 || o.Low < 0 {
		return nil, errors.New("an age or an amount of space is negative")
	}
	if l.dir == "" {
		return nil, errors.New("no folder for the access log")
	}
	if l.segment < 0 {
		return nil, errors.New("segment size is negative")
	}
	if l.segment == 0 {
		l.segment = defaultSegment
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.fs == nil {
		l.fs = osFS{}
	}
	return l, nil
}

// makeDir makes the folder, and its name durable.
func makeDir(fs FS, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return fs.SyncDir(filepath.Dir(dir))
}

// Append writes a record and returns its number once it is durable, in the company of the records
// that other callers append meanwhile. It sets v, time (where zero), seq and prev in the line; r is
// not changed. An error means that nothing may be disclosed: [ErrRecord] for a record that cannot be
// written, [ErrPoisoned] or [ErrClosed] where none can.
func (l *Log) Append(r *Record) (seq int64, err error) {
	e := l.entries.get()
	defer l.entries.put(e)
	if err := e.encode(r, l.now()); err != nil {
		return -1, err
	}
	l.mu.Lock()
	if err := l.err; err != nil {
		l.mu.Unlock()
		return -1, err
	}
	l.queue = append(l.queue, e)
	l.mu.Unlock()
	l.signal()
	<-e.done
	if e.err != nil {
		return -1, e.err
	}
	return e.seq, nil
}

// Err returns why the log takes no records, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close answers those who wait, signs the end of the log, cuts its last segment to size and lets go
// of the folder. The error is that of a poisoned log, or what failed now; the log is released anyhow.
func (l *Log) Close() error {
	l.endUpkeep()
	l.mu.Lock()
	l.closed = true
	if l.err == nil {
		l.err = ErrClosed
	}
	l.mu.Unlock()
	l.signal()
	<-l.done
	return l.failed
}

// VerifierKey returns the public key that the log's checkpoints are verified with.
func (l *Log) VerifierKey() string { return l.public }

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
