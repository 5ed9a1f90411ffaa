package sinks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A cursor is the file that says which record a sink delivers next. It is renamed into place, and not synced: a
// power cut brings back an older one, and what it is behind is delivered again.
type cursor struct {
	file   string
	origin string
	next   int64
}

type cursorFile struct {
	Origin string `json:"origin"` // of the log
	Next   int64  `json:"next"`   // the number of the record to deliver next
}

// openCursor reads a cursor; where there is none, the sink begins with the log.
func openCursor(file, origin string) (*cursor, error) {
	c := &cursor{file: file, origin: origin}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err != nil {
		return nil, err
	}
	var f cursorFile
	if err := json.Unmarshal(text, &f); err != nil || f.Next < 0 {
		return nil, fmt.Errorf("%s is no cursor: remove it, and every record is delivered again", file)
	}
	if f.Origin != origin {
		return nil, fmt.Errorf("%s is the cursor of the log %q: remove it, and every record of %q is delivered", file, f.Origin, origin)
	}
	c.next = f.Next
	return c, nil
}

func (c *cursor) move(next int64) error {
	text, err := json.Marshal(cursorFile{c.origin, next})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.file+".tmp", append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(c.file+".tmp", c.file); err != nil {
		return err
	}
	c.next = next
	return nil
}
