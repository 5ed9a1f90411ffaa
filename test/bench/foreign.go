package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// Other people's proxies: TLS in front, keep-alive to the upstream, nothing logged.

// foreignConf are their configurations: %[1]s is the folder, %[2]s the upstream, %[3]s the address for TLS, %[4]s the plain
// one, %[5]d how many processors there are.
var foreignConf = map[string]string{
	"nginx": `daemon off;
worker_processes %[5]d;
error_log stderr crit;
pid %[1]s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/nginx-body;
  proxy_temp_path %[1]s/nginx-proxy;
  fastcgi_temp_path %[1]s/nginx-fastcgi;
  uwsgi_temp_path %[1]s/nginx-uwsgi;
  scgi_temp_path %[1]s/nginx-scgi;
  proxy_buffers 16 64k;
  proxy_max_temp_file_size 0;
  keepalive_requests 100000000;
  upstream ehr { server %[2]s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %[3]s ssl http2;
    listen %[4]s;
    ssl_certificate %[1]s/certs/server.pem;
    ssl_certificate_key %[1]s/certs/server-key.pem;
    ssl_protocols TLSv1.3;
    location / { proxy_pass http://ehr; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
	"caddy": `{
	admin off
	auto_https off
	log {
		output discard
	}
	servers {
		protocols h1 h2 h2c
	}
}
(proxy) {
	reverse_proxy %[2]s {
		transport http {
			keepalive_idle_conns_per_host 256
			compression off
		}
	}
}
https://%[3]s {
	tls %[1]s/certs/server.pem %[1]s/certs/server-key.pem {
		protocols tls1.3
	}
	import proxy
}
http://%[4]s {
	import proxy
}
`,
}

// foreign starts a proxy that is installed.
func (b *bed) foreign(name string) (*process, error) {
	p := &process{}
	for _, at := range []*string{&p.TLS, &p.Plain} {
		var err error
		if *at, err = freePort(); err != nil { // the proxy takes it
			return nil, err
		}
	}
	file := b.path(name + ".conf")
	args := []string{"-p", b.dir, "-e", "stderr", "-c", file}
	if name == "caddy" {
		args = []string{"run", "--adapter", "caddyfile", "--config", file}
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, foreignConf[name], b.dir, b.upstream.Plain, p.TLS, p.Plain, runtime.NumCPU()), 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(name, args...)
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "HOME="+b.dir)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.stdin = killer{p.cmd.Process}
	for begun := time.Now(); ; {
		conn, err := net.DialTimeout("tcp", p.TLS, time.Second)
		if err == nil {
			return p, conn.Close()
		}
		if time.Since(begun) > 10*time.Second {
			return nil, errors.Join(fmt.Errorf("%s does not listen: %w", name, err), p.stdin.Close(), p.cmd.Wait())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// killer ends a process that does not end with its input.
type killer struct{ process *os.Process }

func (k killer) Close() error { return k.process.Signal(os.Interrupt) }

var _ io.Closer = killer{}
