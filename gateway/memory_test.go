package gateway_test

import (
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/halfdoor/halfdoor/gateway"
)

// TestBoundMemory reads the limits that containers are given, in every place where they may stand.
func TestBoundMemory(t *testing.T) {
	limit, garbage := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(garbage) })
	files := func(pairs ...string) fstest.MapFS {
		f := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			f[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return f
	}
	for _, c := range []struct {
		name    string
		files   fstest.MapFS
		env     map[string]string
		want    gateway.Memory
		wantErr string
	}{
		{name: "version 2", files: files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "524288000\n"), want: gateway.Memory{Limit: 471859200, Garbage: 300}},
		{name: "no limit", files: files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "max\n"), want: gateway.Memory{Garbage: 300}},
		{name: "no cgroups", files: files(), want: gateway.Memory{Garbage: 300}},
		{
			name: "the least of those above",
			files: files("proc/self/cgroup", "0::/kubepods/pod1/c1\n", "sys/fs/cgroup/kubepods/memory.max", "1000000000\n",
				"sys/fs/cgroup/kubepods/pod1/memory.max", "500000000\n", "sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n"),
			want: gateway.Memory{Limit: 500000000 - 48<<20, Garbage: 300},
		},
		{
			name:  "the host's path, which cannot be seen",
			files: files("proc/self/cgroup", "0::/system.slice/docker-1.scope\n", "sys/fs/cgroup/memory.max", "1000000000\n"),
			want:  gateway.Memory{Limit: 900000000, Garbage: 300},
		},
		{
			name:  "version 1",
			files: files("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "200000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
			want:  gateway.Memory{Limit: 200000000 - 48<<20, Garbage: 300},
		},
		{name: "version 1 without a limit", files: files("proc/self/cgroup", "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"), want: gateway.Memory{Garbage: 300}},
		{name: "the operator's own", files: files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "524288000\n"), env: map[string]string{"GOMEMLIMIT": "1GiB", "GOGC": "50"}},
		{name: "too little", files: files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "33554432\n"), wantErr: "has 32 MiB"},
		{name: "no number", files: files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "plenty\n"), wantErr: "/sys/fs/cgroup/memory.max is no number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			debug.SetGCPercent(77)
			got, err := gateway.BoundMemory(gateway.MemoryOptions{Root: c.files, Getenv: func(name string) (string, bool) {
				v, ok := c.env[name]
				return v, ok
			}})
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error %v, want %q", err, c.wantErr)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("%+v, %v; want %+v", got, err, c.want)
			}
			want := c.want.Limit
			if want == 0 {
				want = math.MaxInt64
			}
			if set := debug.SetMemoryLimit(-1); set != want {
				t.Errorf("the runtime's limit is %d, want %d", set, want)
			}
			percent := c.want.Garbage
			if percent == 0 {
				percent = 77
			}
			if set := debug.SetGCPercent(100); set != percent {
				t.Errorf("GOGC is %d, want %d", set, percent)
			}
		})
	}
}
