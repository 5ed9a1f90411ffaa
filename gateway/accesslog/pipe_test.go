//go:build unix

package accesslog_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// TestNoFile puts into the folder what keeps a reader for ever: each is named as damage, by a verification, by a start, and by
// a question, which reads on behind it.
func TestNoFile(t *testing.T) {
	base := newSite(t)
	base.segment = 400
	l := base.open(t)
	for i := range 7 {
		if _, err := l.Append(small(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func(name string) error{
		"a pipe":   func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"a device": func(name string) error { return os.Symlink("/dev/zero", name) },
		"a folder": func(name string) error { return os.Mkdir(name, 0o700) },
		"a file without an end": func(name string) error {
			if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
				return err
			}
			return os.Truncate(name, 1<<40)
		},
	} {
		for _, name := range []string{"checkpoint", "000002.jsonl", "retained", "key-rotation.3"} {
			if what == "a file without an end" && name == "000002.jsonl" {
				continue // it has one, and is read up to it
			}
			t.Run(what+" as "+name, func(t *testing.T) {
				s := base.copyTo(t, t.TempDir())
				file := filepath.Join(s.dir, name)
				if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				if err := put(file); err != nil {
					t.Fatal(err)
				}
				_, err := s.verify(t)
				if d := asDamage(t, err); d.File != name {
					t.Errorf("verify: %v", err)
				}
				if l, err := s.try(); err == nil {
					l.Close()
					if name != "key-rotation.3" { // a start has no need of it
						t.Error("the log opens")
					}
				}
				read, damage := 0, 0
				for _, err := range accesslog.Read(s.dir) {
					if err != nil {
						damage++
					} else {
						read++
					}
				}
				if name == "000002.jsonl" && (damage == 0 || read == 0 || read >= 7) || name == "checkpoint" && read != 7 {
					t.Errorf("%d records are read, %d damages named", read, damage)
				}
			})
		}
	}
}
