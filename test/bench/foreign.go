package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"
)

// Other people's proxies: TLS in front, keep-alive to the upstream, nothing logged.

const nginxConf = `daemon off;
master_process off;
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
    listen %[3]s ssl;
    ssl_certificate %[1]s/certs/server.pem;
    ssl_certificate_key %[1]s/certs/server-key.pem;
    ssl_protocols TLSv1.3;
    location / { proxy_pass http://ehr; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`

const caddyConf = `{
	admin off
	auto_https off
	persist_config off
	log {
		output discard
	}
}
https://%[3]s {
	tls %[1]s/certs/server.pem %[1]s/certs/server-key.pem
	reverse_proxy %[2]s {
		transport http {
			keepalive_idle_conns_per_host 256
			compression off
		}
	}
}
`

// foreign starts a proxy that is installed.
func (b *bed) foreign(name string) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{engineReady: engineReady{TLS: l.Addr().String()}}
	if err := l.Close(); err != nil { // the proxy takes the port
		return nil, err
	}
	conf, file := nginxConf, b.path("nginx.conf")
	args := []string{"-p", b.dir, "-e", "stderr", "-c", file}
	if name == "caddy" {
		conf, file = caddyConf, b.path("Caddyfile")
		args = []string{"run", "--adapter", "caddyfile", "--config", file}
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, conf, b.dir, b.upstream.Plain, p.TLS), 0o600); err != nil {
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
