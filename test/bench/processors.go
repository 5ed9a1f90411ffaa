package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// processors are those that this program may run on. In a case that counts an engine's, the engine has the first of
// them to itself, as far as there are enough for it and for others: the load and the upstream keep to the rest, so that
// what the engine gets is the same however much they need.
type processors struct{ all unix.CPUSet }

func newProcessors() (*processors, error) {
	p := &processors{}
	if err := unix.SchedGetaffinity(0, &p.all); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	return p, nil
}

// split gives n of the processors, and the others. Where none would be left for others, they share all.
func (p *processors) split(n int) (first, rest unix.CPUSet) {
	left := n
	for cpu := range len(p.all) * strconv.IntSize {
		switch {
		case !p.all.IsSet(cpu):
		case left > 0:
			first.Set(cpu)
			left--
		default:
			rest.Set(cpu)
		}
	}
	if n == 0 || rest.Count() == 0 {
		return p.all, p.all
	}
	return first, rest
}

// start starts a command on n processors; 0 are all.
func (p *processors) start(cmd *exec.Cmd, n int) error {
	if n == 0 {
		return cmd.Start()
	}
	first, _ := p.split(n)
	runtime.LockOSThread() // a new process has the processors of the thread that begins it
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &first); err != nil {
		return err
	}
	err := cmd.Start()
	if e := unix.SchedSetaffinity(0, &before); e != nil {
		return e
	}
	return err
}

// leave has processes keep to what n processors for an engine leave over; after 0, to nothing.
func (p *processors) leave(n int, pids ...int) error {
	_, rest := p.split(n)
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/task", pid)
		for range 2 { // a thread that begins meanwhile may be another's
			threads, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			for _, t := range threads {
				id, err := strconv.Atoi(t.Name())
				if err != nil {
					return err
				}
				if err := unix.SchedSetaffinity(id, &rest); err != nil && err != unix.ESRCH {
					return fmt.Errorf("sched_setaffinity: %w", err)
				}
			}
		}
	}
	return nil
}
