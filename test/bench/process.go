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

// skipPrefix begins the names of engines that leave one step out.
const skipPrefix = "halfdoor-without-"

// skipTag is the build tag by which a gateway can leave steps out.
const skipTag = "halfdoor_insecure_skip"

// program is what runs an engine: this program again or, where the engine leaves a step out, a build of its own of it,
// since no other can.
func (b *bed) program(engine string) (string, error) {
	if !strings.HasPrefix(engine, skipPrefix) || engine == "halfdoor-without-tls" {
		return os.Executable()
	}
	if b.skipper == "" {
		file := b.path("skipper")
		build := exec.Command("go", "build", "-tags", skipTag, "-o", file, "./test/bench")
		build.Dir = b.root
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build for engine %s: %w\n%s", engine, err, out)
		}
		b.skipper = file
	}
	return b.skipper, nil
}

// startProcess runs an engine on so many processors; 0 leaves that alone.
func (b *bed) startProcess(s *engineSpec, cores int) (*process, error) {
	program, err := b.program(s.Engine)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, "engine")}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.processors.start(p.cmd, cores); err != nil {
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
// round of one engine may use. Threads of a Go program do not end. What an engine has begun itself, as nginx its
// workers, is a part of it.
func (p *process) usage() (usage, error) {
	u, err := usageOf(p.cmd.Process.Pid)
	if err != nil {
		return usage{}, fmt.Errorf("processor time of a process: %w", err)
	}
	return u, nil
}

func usageOf(pid int) (usage, error) {
	var u usage
	dir := fmt.Sprintf("/proc/%d/", pid)
	threads, err := os.ReadDir(dir + "task")
	if err != nil {
		return u, err
	}
	for _, t := range threads {
		text, err := os.ReadFile(dir + "task/" + t.Name() + "/schedstat")
		if err != nil {
			return u, err
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n)
		begun, err := os.ReadFile(dir + "task/" + t.Name() + "/children") // proc_pid_task(5)
		if err != nil {
			return u, err
		}
		for child := range strings.FieldsSeq(string(begun)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return u, err
			}
			of, err := usageOf(pid)
			if err != nil {
				return u, err
			}
			u.cpu, u.rss = u.cpu+of.cpu, u.rss+of.rss
		}
	}
	text, err := os.ReadFile(dir + "statm")
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return u, fmt.Errorf("%sstatm has %d fields", dir, len(fields))
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	u.rss += pages * int64(os.Getpagesize())
	return u, err
}
