package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quiet lets go of all connections, waits until no call is under way and the goroutines have ended, and tells what the
// process holds then.
func (s *scene) quiet(ctx context.Context) (state, error) {
	s.ehr.Release()
	for _, srv := range s.servers { // what the gateway keeps open to them differs by chance
		srv.SetKeepAlivesEnabled(false)
		defer srv.SetKeepAlivesEnabled(true)
	}
	var last state
	same := 0
	err := s.until(90*time.Second, "calls and connections to end", func() bool {
		if ctx.Err() != nil {
			return true
		}
		for _, c := range slices.Concat(s.clients, s.slow) {
			c.CloseIdleConnections()
		}
		now, calls, err := s.state()
		if err != nil || calls > 0 {
			return false
		}
		if now.Goroutines == last.Goroutines && now.Descriptors == last.Descriptors {
			same++
		} else {
			same = 0
		}
		last = now
		return same >= 20 // a second: no timer of the protocols' is left
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return last, fmt.Errorf("%w; the process holds %+v", err, last)
	}
	for range 2 { // what is pooled outlives the first
		if _, err := s.ask("/debug/pprof/heap?gc=1", true); err != nil {
			return last, err
		}
	}
	last, _, err = s.state()
	return last, err
}

// state reads the process's own figures.
func (s *scene) state() (now state, calls int, err error) {
	text, err := s.ask("/metrics", false)
	if err != nil {
		return now, 0, err
	}
	found := 0
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		found++
		switch name {
		case "go_goroutines":
			now.Goroutines = int(n)
		case "process_open_fds":
			now.Descriptors = int(n)
		case "go_memstats_heap_alloc_bytes":
			now.HeapMB = n / 1e6
		case "process_resident_memory_bytes":
			now.ResidentMB = n / 1e6
		case "halfdoor_calls_in_flight":
			calls = int(n)
		default:
			found--
		}
	}
	if err := lines.Err(); err != nil {
		return now, 0, err
	}
	if found != 5 {
		return now, 0, fmt.Errorf("%d of 5 metrics are there", found)
	}
	return now, calls, nil
}

// peak is the most memory that the gateway had, in bytes: its high water mark of resident memory.
func (s *scene) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.gateway.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	return n << 10, err
}
