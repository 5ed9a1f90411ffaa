package reviews

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// maxReview bounds what is read of an announcement.
const maxReview = 16 << 10

// A Server takes announcements and has them recorded.
type Server struct {
	http   *http.Server
	socket string
	done   chan struct{}
}

type callerKey struct{}

// Listen takes announcements for the log in dir, which this process writes: a socket that a killed gateway left
// behind is replaced. record returns when the record is durable.
func Listen(dir string, record func(*accesslog.Record) error) (*Server, error) {
	socket, err := Socket(dir)
	if err != nil {
		return nil, err
	}
	folder, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(socket); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(socket); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	// To connect needs the permission to write to the socket; who may read the folder gets it.
	mode := fs.FileMode(0o600)
	if folder.Mode()&0o040 != 0 && adopt(socket, folder) == nil {
		mode |= 0o060
	}
	if folder.Mode()&0o004 != 0 {
		mode |= 0o006
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &Server{socket: socket, done: make(chan struct{})}
	s.http = &http.Server{
		Handler: handler(record), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 4 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, speaker(c))
		},
	}
	s.http.SetKeepAlivesEnabled(false)
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // ends with Close
	}()
	return s, nil
}

// Close ends the listening after what is being recorded.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}

func handler(record func(*accesslog.Record) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reviews", func(w http.ResponseWriter, r *http.Request) {
		var review Review
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReview))
		d.DisallowUnknownFields()
		if err := d.Decode(&review); err != nil {
			http.Error(w, ErrReview.Error(), http.StatusBadRequest)
			return
		}
		by, _ := r.Context().Value(callerKey{}).(Person)
		rec, err := review.Record(by)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := record(rec); err != nil {
			http.Error(w, ErrUnable.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
