package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is an engine that runs.
type process struct {
	engineReady
	cmd   *exec.Cmd
	stdin io.Closer // that it ends with
}

// start runs this program again, as an engine.
func (s *engineSpec) startProcess(cores int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, "engine")}
	p.cmd.Env, p.cmd.Stderr = coresEnv(cores), os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.stdin = in
	err = json.NewEncoder(in).Encode(s)
	if err == nil {
		err = json.NewDecoder(bufio.NewReader(out)).Decode(&p.engineReady)
	}
	if err == nil && p.Error != "" {
		err = errors.New(p.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", s.Engine, errors.Join(err, p.end()))
	}
	return p, nil
}

func (p *process) end() error {
	return errors.Join(p.stdin.Close(), p.cmd.Wait())
}

// usage is what the operating system says of a process.
type usage struct {
	cpu time.Duration // user and system, of all its threads
	rss int64         // bytes
}

// usage reads /proc/PID/schedstat of each thread, which counts nanoseconds: the ticks of /proc/PID/stat are as long as a
// round of one engine may use. Threads of a Go program do not end.
func (p *process) usage() (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	threads, err := os.ReadDir(dir + "task")
	if err != nil {
		return usage{}, fmt.Errorf("processor time of a process: %w", err)
	}
	var u usage
	for _, t := range threads {
		text, err := os.ReadFile(dir + "task/" + t.Name() + "/schedstat")
		if err != nil {
			return usage{}, fmt.Errorf("processor time of a process: %w", err)
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("processor time of a process: %w", err)
		}
		u.cpu += time.Duration(n)
	}
	text, err := os.ReadFile(dir + "statm")
	if err != nil {
		return usage{}, err
	}
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return usage{}, err
		}
		u.rss = pages * int64(os.Getpagesize())
	}
	return u, nil
}
