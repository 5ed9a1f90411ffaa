package accesslog

import (
	"bytes"
	"path/filepath"
)

// Origin returns the name of the log in a folder, as its checkpoint has it. It checks no signature:
// [Verify] does.
func Origin(dir string) (string, error) {
	message, err := readSmall(filepath.Join(dir, checkpointFile))
	if err != nil {
		return "", err
	}
	origin, _, ok := bytes.Cut(message, []byte("\n"))
	if !ok || len(origin) == 0 {
		return "", fileDamage(checkpointFile, "it does not begin with the name of the log")
	}
	return string(origin), nil
}

// Origin is the log's name in its checkpoints.
func (l *Log) Origin() string { return l.signer.Name() }
