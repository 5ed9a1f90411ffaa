package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// The gateway that is soaked is a process of its own, this program again: it serves by gateway.Run, as "halfdoor serve"
// does, and differs in the disk under the access log alone, which a fault can slow down. Nothing outside of a process
// can do that without being root.

func soakedCommand() *cobra.Command {
	var file, root string
	c := &cobra.Command{
		Use: "soaked --config FILE --root FOLDER", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// It begins when it is told to, so that it can be put into a cgroup before.
			in := bufio.NewReader(os.Stdin)
			if _, err := in.ReadString('\n'); err != nil {
				return err
			}
			if _, err := gateway.BoundMemory(gateway.MemoryOptions{Root: os.DirFS(root), Getenv: os.LookupEnv}); err != nil {
				return err
			}
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			disk := &slowDisk{}
			go disk.obey(in)
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM) // an interrupt is the soak's, which ends this
			defer stop()
			return gateway.Run(ctx, gateway.RunOptions{
				Load:   func() (*configs.Config, error) { return configs.Load(file) },
				Logger: zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger(), Version: "soak", LogFS: disk, Reload: hup,
			})
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration")
	c.Flags().StringVar(&root, "root", "/", "where /proc and /sys tell of its memory's limit")
	return c
}

// slowDisk is the real file system; while it is told to, whatever has to be durable takes its time.
type slowDisk struct {
	pause atomic.Int64
	syncs atomic.Int64
}

// obey reads how long each sync takes, a line each.
func (d *slowDisk) obey(in *bufio.Reader) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return // the soak has gone, and ends this
		}
		if pause, err := time.ParseDuration(strings.TrimSpace(line)); err == nil {
			d.pause.Store(int64(pause))
		}
	}
}

// stalls is how many syncs there are for each that takes ten times as long, as disks do that write back.
const stalls = 16

func (d *slowDisk) wait() {
	pause := time.Duration(d.pause.Load())
	if pause == 0 {
		return
	}
	if d.syncs.Add(1)%stalls == 0 {
		pause *= 10
	}
	time.Sleep(pause)
}

// OpenFile is as os.OpenFile.
func (d *slowDisk) OpenFile(name string, flag int) (accesslog.File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return slowFile{f, d}, nil
}

// Rename is as os.Rename.
func (d *slowDisk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is as os.Remove.
func (d *slowDisk) Remove(name string) error { return os.Remove(name) }

// SyncDir makes a folder's names durable.
func (d *slowDisk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.wait()
	return errors.Join(f.Sync(), f.Close())
}

// Free is what the disk has left.
func (d *slowDisk) Free(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil
}

type slowFile struct {
	*os.File
	disk *slowDisk
}

// Datasync is fdatasync, where there is one.
func (f slowFile) Datasync() error {
	f.disk.wait()
	return syscall.Fdatasync(int(f.Fd()))
}

// Sync is fsync.
func (f slowFile) Sync() error {
	f.disk.wait()
	return f.File.Sync()
}

// launch starts the gateway, in the ceiling that it has to keep to.
func (s *scene) launch() (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	root := "/"
	if s.cgroup == "" {
		root, err = s.container()
	} else {
		s.ceiling, err = cgroupLimit(s.cgroup)
	}
	if err != nil {
		return err
	}
	s.gateway = exec.Command(self, "soaked", "--config", s.cfg.Config, "--root", root)
	log, err := os.Create(s.path("gateway.log"))
	if err != nil {
		return err
	}
	s.gateway.Stderr = log
	in, err := s.gateway.StdinPipe()
	if err == nil {
		err = s.gateway.Start()
	}
	if err != nil {
		return errors.Join(err, log.Close())
	}
	s.orders = in
	go func() { s.ended <- errors.Join(s.gateway.Wait(), log.Close()) }()
	if s.cgroup != "" {
		if err := os.WriteFile(filepath.Join(s.cgroup, "cgroup.procs"), fmt.Append(nil, s.gateway.Process.Pid), 0); err != nil {
			return err
		}
	}
	_, err = io.WriteString(in, "begin\n")
	return err
}

// container makes a folder that tells of the ceiling as a container's file system does. Nobody enforces it but the gateway.
func (s *scene) container() (root string, err error) {
	root = filepath.Join(s.dir, "container")
	for name, text := range map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": fmt.Sprintln(s.ceiling)} {
		file := filepath.Join(root, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600))
	}
	return root, err
}

// cgroupLimit is that of a cgroup of version 2 or 1.
func cgroupLimit(dir string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, "memory.max"))
	if errors.Is(err, os.ErrNotExist) {
		text, err = os.ReadFile(filepath.Join(dir, "memory.limit_in_bytes"))
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
