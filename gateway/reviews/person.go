package reviews

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"syscall"
)

// Myself is who runs this process.
func Myself() Person { return account(os.Getuid(), true) }

// account is the account with this number, by its name where the machine knows one.
func account(uid int, proven bool) Person {
	host, _ := os.Hostname() // without one the account is no less itself
	p := Person{Name: fmt.Sprintf("uid %d", uid), Machine: cmp.Or(host, "unknown"), Proven: proven}
	if u, err := user.LookupId(fmt.Sprint(uid)); err == nil && u.Username != "" {
		p.Name = u.Username
	}
	return p
}

// speaker is who is at the other end of a connection.
func speaker(c net.Conn) Person {
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := peer(u); err == nil {
			return account(uid, true)
		}
	}
	host, _ := os.Hostname()
	return Person{Name: "unknown", Machine: cmp.Or(host, "unknown")}
}

// adopt gives a file the folder's group, whose members may read the folder.
func adopt(file string, folder fs.FileInfo) error {
	s, ok := folder.Sys().(*syscall.Stat_t)
	if !ok {
		return fs.ErrInvalid
	}
	return os.Lchown(file, -1, int(s.Gid))
}
