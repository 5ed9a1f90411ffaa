package reviews

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// ErrNobody means that no gateway listens beside the log.
var ErrNobody = errors.New("no gateway takes announcements for this log")

// ErrUnable means that the log cannot be written.
var ErrUnable = errors.New("the access log cannot be written")

// Announce has the gateway that writes the log in dir record a question, and returns when the record is durable.
func Announce(ctx context.Context, dir string, r Review) error {
	socket, err := Socket(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/reviews", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EINVAL): // the last: a path too long for a socket
		return ErrNobody
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return ErrUnable
	}
	why, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // without it, the status is the reason
	return fmt.Errorf("the gateway does not record the question: %s", strings.TrimSpace(resp.Status+" "+string(why)))
}
