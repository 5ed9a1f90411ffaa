package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
)

// What lies between the load and the upstream is a process of its own, this program again: so its processor time is what
// the operating system says of that process. It reads an engineSpec from its standard input, says where it listens, and
// ends with its standard input.

// engineSpec is what a process is told.
type engineSpec struct {
	Engine   string
	Dir      string            // its own, with certs, and of a gateway the configuration
	Upstream string            // host:port, plain
	Bodies   map[string]string // of the upstream: files, by what _count asks for
	Profile  string            // file for a profile of its processor time; none where empty
}

// engineReady is where it listens; an address is empty where it does not.
type engineReady struct {
	TLS, Plain string
	Error      string
}

func engineCommand() *cobra.Command {
	return &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
			line, err := in.ReadBytes('\n')
			if err != nil {
				return err
			}
			var spec engineSpec
			if err := json.Unmarshal(line, &spec); err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			ready, wait, err := spec.start(ctx)
			if err != nil {
				stop()
				return errors.Join(err, out.Encode(engineReady{Error: err.Error()}))
			}
			if err := out.Encode(ready); err != nil {
				stop()
				return errors.Join(err, wait())
			}
			err = spec.profile(func() error {
				_, err := io.Copy(io.Discard, in)
				return err
			})
			stop()
			return errors.Join(err, wait())
		},
	}
}

// profile profiles the engine until serve returns.
func (s *engineSpec) profile(serve func() error) error {
	if s.Profile == "" {
		return serve()
	}
	f, err := os.Create(s.Profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = serve()
	pprof.StopCPUProfile()
	allocs, e := os.Create(strings.TrimSuffix(s.Profile, ".pprof") + ".allocs.pprof")
	if e != nil {
		return errors.Join(err, e, f.Close())
	}
	return errors.Join(err, f.Close(), pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
}

// start starts the engine. It serves until ctx ends; wait returns when it has.
func (s *engineSpec) start(ctx context.Context) (ready engineReady, wait func() error, err error) {
	if strings.HasPrefix(s.Engine, "halfdoor") { // as "halfdoor serve" does
		if _, err := gateway.BoundMemory(gateway.MemoryOptions{Root: os.DirFS("/"), Getenv: os.LookupEnv}); err != nil {
			return ready, nil, err
		}
	}
	switch {
	case s.Engine == "upstream":
		h, err := newUpstream(s.Bodies)
		if err != nil {
			return ready, nil, err
		}
		return s.serve(ctx, h, true, true)
	case s.Engine == "reverseproxy":
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Upstream})
		// Bare, but for the pool: with two idle connections, as by default, it would connect for nearly each request.
		proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
		return s.serve(ctx, proxy, true, true)
	case s.Engine == "halfdoor":
		return s.run(ctx)
	case s.Engine == "halfdoor-without-tls": // the same gateway on a plain listener
		return s.compose(ctx, gateway.New, true)
	case strings.HasPrefix(s.Engine, skipPrefix):
		return s.without(ctx)
	}
	return ready, nil, fmt.Errorf("no engine %q", s.Engine)
}

func (s *engineSpec) config() string { return filepath.Join(s.Dir, "halfdoor.yaml") }

// compose serves with a gateway that is made otherwise than by "halfdoor serve".
func (s *engineSpec) compose(ctx context.Context, made func(gateway.Options) (*gateway.Gateway, error), plain bool) (ready engineReady, wait func() error, err error) {
	cfg, err := configs.Load(s.config())
	if err != nil {
		return ready, nil, err
	}
	g, err := made(gateway.Options{Config: cfg, Logger: zerolog.Nop(), Version: "bench"})
	if err != nil {
		return ready, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ready, nil, errors.Join(err, g.Close())
	}
	srv, bounded := g.Front(l, nil)
	ended := make(chan error, 1)
	if ready.TLS = l.Addr().String(); plain {
		ready.TLS, ready.Plain = "", ready.TLS
		srv.Protocols = protocols()
	}
	go func() {
		if plain {
			ended <- srv.Serve(bounded)
		} else {
			ended <- srv.ServeTLS(bounded, "", "")
		}
	}()
	go func() {
		<-ctx.Done()
		_ = srv.Close() // nobody waits for an answer any more
	}()
	return ready, func() error {
		err := <-ended
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		return errors.Join(err, g.Close())
	}, nil
}

// run is what "halfdoor serve" runs.
func (s *engineSpec) run(ctx context.Context) (ready engineReady, wait func() error, err error) {
	at, ended := make(chan gateway.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, gateway.RunOptions{
			Load:   func() (*configs.Config, error) { return configs.Load(s.config()) },
			Logger: zerolog.Nop(), Version: "bench", Ready: func(a gateway.Addresses) { at <- a },
		})
	}()
	select {
	case a := <-at:
		return engineReady{TLS: a.FHIR.String()}, func() error { return <-ended }, nil
	case err := <-ended:
		return ready, nil, err
	}
}

func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// serve serves HTTP/1.1 and HTTP/2 over TLS, plain, or both.
func (s *engineSpec) serve(ctx context.Context, h http.Handler, secure, plain bool) (ready engineReady, wait func() error, err error) {
	srv := &http.Server{Handler: h, Protocols: protocols(), ReadHeaderTimeout: time.Minute}
	ended, n := make(chan error, 2), 0
	listen := func(serve func(net.Listener) error) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		n++
		go func() { ended <- serve(l) }()
		return l.Addr().String(), nil
	}
	if secure {
		pair, e := certs.LoadKeyPair(filepath.Join(s.Dir, "certs", "server.pem"), filepath.Join(s.Dir, "certs", "server-key.pem"), time.Now)
		if e != nil {
			return ready, nil, e
		}
		if srv.TLSConfig, err = certs.ServerConfig(certs.Options{KeyPair: pair, MinVersion: "1.3", ClientAuth: "none"}); err != nil {
			return ready, nil, err
		}
		if ready.TLS, err = listen(func(l net.Listener) error { return srv.ServeTLS(l, "", "") }); err != nil {
			return ready, nil, err
		}
	}
	if plain {
		if ready.Plain, err = listen(srv.Serve); err != nil {
			return ready, nil, errors.Join(err, srv.Close())
		}
	}
	go func() {
		<-ctx.Done()
		_ = srv.Close() // nobody waits for an answer any more
	}()
	return ready, func() error {
		var errs []error
		for range n {
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}, nil
}

// upstream is an EHR that has its answers ready: the one whose size _count names.
type upstream struct{ bodies map[string][]byte }

func newUpstream(files map[string]string) (*upstream, error) {
	u := &upstream{bodies: map[string][]byte{}}
	for count, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		u.bodies[count] = body
	}
	return u, nil
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, count, _ := strings.Cut(r.URL.RawQuery, "_count=")
	count, _, _ = strings.Cut(count, "&")
	body := u.bodies[count]
	if body == nil {
		http.NotFound(w, r)
		return
	}
	w.Header()["Content-Type"] = []string{"application/fhir+json"}
	w.Header()["Content-Length"] = []string{fmt.Sprint(len(body))}
	_, _ = w.Write(body) // whoever is gone needs no answer
}
