package reviews_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/reviews"
)

// folder is a log's folder with a short name, as a socket's path must be short.
func folder(t *testing.T) string {
	t.Helper()
	above, err := os.MkdirTemp("", "hd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(above) })
	dir := filepath.Join(above, "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func listen(t *testing.T, dir string, record func(*accesslog.Record) error) *reviews.Server {
	t.Helper()
	s, err := reviews.Listen(dir, record)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var question = reviews.Review{Command: "who-saw", Asked: "--since 2026-01-01", Patients: []string{"abcdefghijklmnopqrstuv", "tA00000000000000000000001"}, Reason: "complaint", Case: "REV-1"}

func TestAnnouncedIsRecorded(t *testing.T) {
	dir := folder(t)
	var got *accesslog.Record
	s := listen(t, dir, func(r *accesslog.Record) error { got = r; return nil })
	if err := reviews.Announce(t.Context(), dir, question); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Kind != accesslog.KindAdmin || got.Code != "audit-who-saw" || got.Reason != "complaint" || got.Ticket.ID != "REV-1" ||
		got.Patients[0] != question.Patients[0] || got.Subjects[0] != "Patient/"+question.Patients[1] || !strings.HasPrefix(got.Detail, "who-saw --since 2026-01-01") {
		t.Fatalf("recorded %+v", got)
	}
	if me, err := user.Current(); err == nil && runtime.GOOS == "linux" && (got.Actor.Subject != me.Username || strings.Contains(got.Detail, "as it calls itself")) {
		t.Errorf("%s asked, and %+v is recorded", me.Username, got.Actor)
	}
	if err := reviews.Announce(t.Context(), dir, question); !errors.Is(err, reviews.ErrNobody) {
		t.Errorf("with nobody listening: %v", err)
	}
}

func TestAnsweredOnlyWhenRecorded(t *testing.T) {
	dir := folder(t)
	s := listen(t, dir, func(*accesslog.Record) error { return errors.New("disk: secret words") })
	defer s.Close()
	err := reviews.Announce(t.Context(), dir, question)
	if err == nil || errors.Is(err, reviews.ErrNobody) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoReviewIsNotRecorded(t *testing.T) {
	dir := folder(t)
	s := listen(t, dir, func(r *accesslog.Record) error { t.Errorf("recorded %+v", r); return nil })
	defer s.Close()
	for name, r := range map[string]reviews.Review{
		"no command": {}, "a command of words": {Command: "who saw"}, "a real id": {Command: "who-saw", Patients: []string{"12345"}},
		"a long text": {Command: "query", Reason: strings.Repeat("x", 3<<10)}, "many patients": {Command: "query", Patients: make([]string, 65)},
		"longer than is read": {Command: "query", Reason: strings.Repeat("x", 20<<10)},
	} {
		if err := reviews.Announce(t.Context(), dir, r); err == nil || !strings.Contains(err.Error(), "not a review") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheSocketHasTheFoldersPermissions: who may read the log may say so, and nobody else.
func TestTheSocketHasTheFoldersPermissions(t *testing.T) {
	for folderMode, want := range map[fs.FileMode]fs.FileMode{0o700: 0o600, 0o750: 0o660, 0o755: 0o666} {
		dir := folder(t)
		if err := os.Chmod(dir, folderMode); err != nil {
			t.Fatal(err)
		}
		s := listen(t, dir, func(*accesslog.Record) error { return nil })
		info, err := os.Stat(dir + ".sock")
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%o: %v, %v", folderMode, info, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir + ".sock"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket stays: %v", err)
		}
	}
}

func TestASocketThatAKilledGatewayLeft(t *testing.T) {
	dir := folder(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + ".sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := reviews.Announce(t.Context(), dir, question); !errors.Is(err, reviews.ErrNobody) {
		t.Errorf("nobody listens: %v", err)
	}
	s := listen(t, dir, func(*accesslog.Record) error { return nil })
	defer s.Close()
	link := dir + "-link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := reviews.Announce(t.Context(), link, question); err != nil {
		t.Errorf("by a link to the folder: %v", err)
	}
	if _, err := reviews.Listen(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("it listens for a log that is not there")
	}
	// What is no socket is not removed.
	other := folder(t)
	if err := os.WriteFile(other+".sock", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reviews.Listen(other, nil); err == nil {
		t.Error("a file was taken for a socket")
	}
	if b, err := os.ReadFile(other + ".sock"); err != nil || string(b) != "x" {
		t.Errorf("the file is gone: %v", err)
	}
}
