package sinks_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/sinks"
)

// message is RFC 5424's SYSLOG-MSG, of one element of structured data, and its text.
var message = regexp.MustCompile(`^<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) \[halfdoor@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")+)\] (.*)$`)

// A receiver takes RFC 5425 frames.
type receiver struct {
	*inbox
	net.Listener
	t     *testing.T
	most  atomic.Int64 // frames of a connection, after which it is cut; 0: no bound
	texts chan string
}

func receive(t *testing.T, server tls.Certificate, most int64, config func(*tls.Config)) *receiver {
	t.Helper()
	c := &tls.Config{Certificates: []tls.Certificate{server}}
	if config != nil {
		config(c)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{inbox: newInbox(), Listener: l, t: t, texts: make(chan string, 4096)}
	r.most.Store(most)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *receiver) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := int64(0); r.most.Load() == 0 || n < r.most.Load(); n++ {
		length, err := in.ReadString(' ') // RFC 5425, section 4.3
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || size < 1 || length[0] == '0' {
			r.t.Errorf("a frame begins with %q", length)
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		m := message.FindStringSubmatch(string(frame))
		if m == nil {
			r.t.Errorf("not a message of RFC 5424: %s", frame)
			return
		}
		rec, err := accesslog.Decode([]byte(m[8]))
		if err != nil || !strings.Contains(m[7], fmt.Sprintf(` origin="%s" seq="%d"`, origin, rec.Sequence)) {
			r.t.Errorf("%v in %s", err, frame)
			return
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", m[2]); err != nil {
			r.t.Error(err)
		}
		r.put(rec.Sequence)
		select {
		case r.texts <- string(frame):
		default:
		}
	}
}

func syslog(t *testing.T, r *receiver, roots *x509.CertPool) *sinks.Syslog {
	t.Helper()
	p, err := sinks.NewSyslog(sinks.SyslogOptions{Address: r.Addr().String(), TLS: &tls.Config{RootCAs: roots}, Hostname: "gateway.example", Origin: origin, Settle: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSyslog(t *testing.T) {
	server, roots := authority(t)
	r := receive(t, server, 0, nil)
	s := newSite(t)
	s.append(620)
	s.start(syslog(t, r, roots))
	r.wait(t, 620)
	for i := range 10 {
		m := message.FindStringSubmatch(<-r.texts)
		want := []string{"110", "gateway.example", "halfdoor", "-", "access"}
		if i == 9 { // a refusal
			want = []string{"108", "gateway.example", "halfdoor", "-", "refusal"}
		}
		if got := []string{m[1], m[3], m[4], m[5], m[6]}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("record %d: %s", i, got)
		}
		if i == 0 && !strings.HasSuffix(m[7], ` ticket="INC-\"\]\\"`) {
			t.Errorf("structured data %s", m[7])
		}
	}
}

// TestSyslogThatBreaks cuts each connection after some frames: what was on its way comes again.
func TestSyslogThatBreaks(t *testing.T) {
	server, roots := authority(t)
	r := receive(t, server, 130, nil)
	s := newSite(t)
	sink, _ := s.start(syslog(t, r, roots))
	for range 6 {
		s.append(100)
	}
	until(t, sink, "a failure", func(st sinks.Status) bool { return st.Failures > 0 })
	r.most.Store(0)
	r.wait(t, 600)
	until(t, sink, "all to be delivered", func(st sinks.Status) bool { return st.Delivered == 600 })
}

// TestSyslogThatIsNotTheRightOne sends nothing to who cannot prove to be the receiver, or does not know the gateway.
func TestSyslogThatIsNotTheRightOne(t *testing.T) {
	server, roots := authority(t)
	other, _ := authority(t)
	for name, r := range map[string]*receiver{
		"another certificate": receive(t, other, 0, nil),
		"wants a certificate": receive(t, server, 0, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }),
		"old TLS":             receive(t, server, 0, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11; c.MinVersion = tls.VersionTLS10 }),
	} {
		s := newSite(t)
		s.append(3)
		sink, stop := s.start(syslog(t, r, roots))
		st := until(t, sink, "a failure", func(st sinks.Status) bool { return st.Failures > 2 })
		stop()
		if st.Delivered != 0 || !strings.Contains(st.Problem, "tls") {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if _, err := sinks.NewSyslog(sinks.SyslogOptions{Address: "siem.example:514"}); err == nil {
		t.Error("syslog without TLS")
	}
	if _, err := sinks.NewSyslog(sinks.SyslogOptions{Address: "siem.example", TLS: &tls.Config{}}); err == nil {
		t.Error("syslog without a port")
	}
}
