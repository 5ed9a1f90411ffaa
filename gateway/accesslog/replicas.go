package accesslog

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
)

// Replicas returns the folders of the logs that a reviewer's folder holds: itself where it is a log, else
// those right below it that are, by name. Each replica of a gateway writes a log of its own. A folder
// without any is an error, since an empty answer from it would be taken for "nobody".
func Replicas(dir string) ([]string, error) {
	if holdsLog(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		// A link is followed: a reviewer may gather logs by links.
		if sub := filepath.Join(dir, e.Name()); (e.IsDir() || e.Type()&fs.ModeSymlink != 0) && holdsLog(sub) {
			all = append(all, sub)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no access log", dir)
	}
	return all, nil
}

// holdsLog says whether a folder is a log's, also one of which a part is missing.
func holdsLog(dir string) bool {
	segments, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix+"*"))
	if err == nil && len(segments) > 0 {
		return true
	}
	for _, name := range []string{checkpointFile, stateFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// An Entry is a record and the log that holds it.
type Entry struct {
	*Record
	Log string // the folder's name, or its origin in a database; empty where there is only one log
}

// A Source yields the records that fit one of the queries, or all without a query, oldest first, as [Read]
// does for a folder. Whatever answers queries about a log has this form.
type Source func(queries ...Query) iter.Seq2[*Record, error]

// Place names the record: its number, behind its log where there are several.
func (e Entry) Place() string {
	if e.Log == "" {
		return strconv.FormatInt(e.Sequence, 10)
	}
	return e.Log + ":" + strconv.FormatInt(e.Sequence, 10)
}

// ReadReplicas is [Read] over the logs of several replicas, from [Replicas]: by the records' times, so that
// what went through several gateways comes in its order. It holds one record of each log.
func ReadReplicas(dirs []string, queries ...Query) iter.Seq2[Entry, error] {
	sources := make([]Source, len(dirs))
	for i, dir := range dirs {
		sources[i] = func(queries ...Query) iter.Seq2[*Record, error] { return Read(dir, queries...) }
	}
	return Merge(Names(dirs), sources, queries...)
}

// Names are what the logs in these folders are called in an [Entry].
func Names(dirs []string) []string {
	all := make([]string, len(dirs))
	for i, dir := range dirs {
		all[i] = filepath.Base(dir)
	}
	return all
}

// Merge is [ReadReplicas] over sources of these names.
func Merge(names []string, sources []Source, queries ...Query) iter.Seq2[Entry, error] {
	if len(sources) == 1 {
		return func(yield func(Entry, error) bool) {
			for r, err := range sources[0](queries...) {
				if !yield(Entry{Record: r}, err) {
					return
				}
			}
		}
	}
	return func(yield func(Entry, error) bool) {
		type head struct {
			name string
			next func() (*Record, error, bool)
			r    *Record
		}
		var heads []*head
		// advance yields what cannot be read, and leaves r nil at the end of the log.
		advance := func(h *head) bool {
			for {
				r, err, ok := h.next()
				if h.r = r; !ok || err == nil {
					return true
				}
				if !yield(Entry{Log: h.name}, fmt.Errorf("%s: %w", h.name, err)) {
					return false
				}
			}
		}
		for i, name := range names {
			next, stop := iter.Pull2(sources[i](queries...))
			defer stop()
			h := &head{name: name, next: next}
			heads = append(heads, h)
			if !advance(h) {
				return
			}
		}
		for {
			var first *head
			for _, h := range heads {
				if h.r != nil && (first == nil || h.r.Time.Before(first.r.Time)) {
					first = h
				}
			}
			if first == nil {
				return
			}
			if !yield(Entry{Record: first.r, Log: first.name}, nil) || !advance(first) {
				return
			}
		}
	}
}
