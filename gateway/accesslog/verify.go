package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// VerifyOptions say what to verify and against what.
type VerifyOptions struct {
	Dir string // the log's folder; it may be in use
	Key string // the verifier key, from [GenerateKey]; of a log whose key was rotated, several between white space
	// Checkpoint is the content of a checkpoint file that the reviewer kept. With it Verify also proves
	// that the log still begins with the records that were there then.
	Checkpoint []byte
	// Witnesses are verifier keys of witnesses. WitnessesNeeded of them, or all where it is 0, must have cosigned a
	// checkpoint that is in the folder, and the log must begin with all that any of them has: else [ErrUnwitnessed], or a
	// [*Damage].
	Witnesses       []string
	WitnessesNeeded int
	// Progress, where set, is called now and then with the number of records read.
	Progress func(records int64)
}

// Verified is what a verification found.
type Verified struct {
	Origin         string    // the name of the log, from the key
	Records        int64     // complete records, each chained to the one before
	Removed        int64     // records before these, which retention has removed
	First, Last    time.Time // of these
	Segments       int
	Root           string // signed root of the first CheckpointSize records, in base64
	CheckpointSize int64  // records that the folder's checkpoint signs
	KeptSize       int64  // records that the kept checkpoint signs; 0 without one
	Unsigned       int64  // complete records behind every checkpoint: chained, but not yet signed
	// Witnessed is what each of the witnesses has cosigned last.
	Witnessed []Cosigned
	// Signers name the keys that have signed this log, as its key rotations have it: the beginning of a
	// verifier key, "<origin>+<hash>".
	Signers []string
	// Notes are sentences on what the result does not prove, and on what was seen beside the records.
	Notes []string
}

const progressEvery = 16 << 10

// Verify reads the whole log and proves that the records up to its checkpoint are those that were
// written, in their order, with none missing. It holds one segment's buffer in memory, takes no lock
// and changes nothing. The first bad place is returned as [*Damage].
//
// On a log that is being written it proves what was there when it began.
func Verify(ctx context.Context, o VerifyOptions) (*Verified, error) {
	of, err := parseKeys(o.Key)
	if err != nil {
		return nil, err
	}
	v := &Verified{Origin: of.origin()}
	marks, notes, err := of.follow(o.Dir)
	if err != nil {
		return nil, err
	}
	if v.Signers, err = signers(o.Dir, of); err != nil {
		return nil, err
	}
	v.Notes = notes
	if o.Checkpoint != nil {
		kept, err := parseCheckpoint(o.Checkpoint, of)
		if err != nil {
			return nil, checkpointDamage("the kept checkpoint", err)
		}
		v.KeptSize = kept.size
		marks = append(marks, mark{kept, "the kept checkpoint"})
	}
	cosigned, err := v.witnesses(o)
	if err != nil {
		return nil, err
	}
	marks = append(marks, cosigned...)
	// The checkpoint comes first: every record that it signs is in a segment that exists by then, and
	// none of them changes any more.
	signed, notes, err := newestCheckpoint(o.Dir, of)
	if err != nil {
		return nil, err
	}
	v.Notes = append(v.Notes, notes...)
	v.CheckpointSize, v.Root = signed.size, signed.root.String()
	marks = append(marks, mark{signed.checkpoint, "the checkpoint"})
	at, err := listSegments(o.Dir, of)
	if err != nil {
		return nil, err
	}
	v.Segments = at.last - at.first + 1
	if at.base != nil {
		v.Removed = at.base.tree.size
	}
	if v.KeptSize > 0 && v.KeptSize < v.Removed {
		v.Notes = append(v.Notes, fmt.Sprintf("the kept checkpoint signs %d records, all of which retention has removed: nothing could be compared with it", v.KeptSize))
		v.KeptSize = 0
	}

	w := newWalk(o.Dir, at, marks...)
	var first, final []byte
	w.each = func(line []byte) {
		if first == nil {
			first = append(first, line...)
		}
		final = append(final[:0], line...)
		if o.Progress != nil && w.tree.size%progressEvery == 0 {
			o.Progress(w.tree.size)
		}
	}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	v.Records = w.tree.size - v.Removed
	if err := v.witnessedBeyond(w.tree.size); err != nil {
		return nil, err
	}
	proven, _ := w.signed()
	v.Unsigned = w.tree.size - proven
	if v.Records > 0 {
		if v.First, err = timeOf(first); err != nil {
			return nil, &Damage{File: segmentName(at.first), Line: 1, Reason: err.Error(), err: err}
		}
		if v.Last, err = timeOf(final); err != nil {
			return nil, w.damage(w.before, w.tree.size-1, "%v", err)
		}
	}
	v.remark(w.torn, at.foreign, o.Checkpoint != nil || len(v.Witnessed) > 0)
	if o.Progress != nil {
		o.Progress(v.Records)
	}
	return v, nil
}

// remark says what the result does not prove.
func (v *Verified) remark(torn int64, foreign []string, kept bool) {
	add := func(format string, args ...any) { v.Notes = append(v.Notes, fmt.Sprintf(format, args...)) }
	if !kept {
		add("no kept checkpoint was given, and no witness: if the end of the log and its checkpoint were put back together to an earlier state, this does not show; keep a copy of the file %q elsewhere, and verify against it", checkpointFile)
	}
	if v.KeptSize > v.CheckpointSize {
		add("the kept checkpoint signs %d records, the log's own only %d: after a power cut the log's may lag behind, otherwise it was put back", v.KeptSize, v.CheckpointSize)
	}
	if v.Removed > 0 {
		add("the first %d records were removed by retention, as the log's key has signed: the log is proven from record %d on", v.Removed, v.Removed)
	}
	if v.Unsigned > 0 {
		add("the last %d records are chained but not signed: they are being written, or the gateway stopped before it signed them and will when it starts; the chain alone does not protect them", v.Unsigned)
	}
	if torn > 0 {
		add("%d bytes behind the last record are not a complete record: one is being written, or a crash cut it, and the gateway will remove it when it starts; no answer waited for it", torn)
	}
	for _, name := range foreign {
		add("%s is not part of the log", name)
	}
}

// readCheckpoint reads and checks the folder's checkpoint, the file of that name.
func readCheckpoint(dir string, of keys) (signing, error) {
	message, err := readSmall(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(dir); e != nil {
			return signing{}, e
		}
		return signing{}, fileDamage(checkpointFile, "there is none in this folder, so nothing shows that the records are whole")
	}
	if err != nil {
		return signing{}, err
	}
	c, err := parseCheckpoint(message, of)
	if err != nil {
		return signing{}, checkpointDamage(checkpointFile, err)
	}
	return signing{c, message}, nil
}

func timeOf(line []byte) (time.Time, error) {
	r, err := Decode(line)
	if err != nil {
		return time.Time{}, err
	}
	return r.Time, nil
}
