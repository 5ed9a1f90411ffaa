package sinks

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// SyslogOptions are where and as whom to write.
type SyslogOptions struct {
	Address  string      // host:port; the port of RFC 5425 is 6514
	TLS      *tls.Config // required; TLS 1.2 at least
	Hostname string      // of the gateway, in the messages
	Origin   string      // of the log
	// Settle is how long a batch that was written waits for the connection to break; default 200ms. Syslog has no
	// acknowledgement: a peer that is gone shows only then.
	Settle time.Duration
}

// Syslog writes records as RFC 5424 messages over TLS (RFC 5425). The message's text is the record's line as it is in
// the log, so that its hash can be made again; number, kind and ticket are structured data beside it.
//
// A receiver does not say what it has stored. A batch is sent again where the connection breaks within Settle, and after
// any break the last messages before it (a thousand, or 1 MiB) come first on the next connection. What a receiver loses
// beyond that, or while the gateway restarts, shows as a gap in the numbers.
type Syslog struct {
	o      SyslogOptions
	conn   *tls.Conn
	broken chan error // of conn
	recent [][]byte   // the last frames that were sent, across connections
	held   int        // bytes of recent
	again  bool       // the last connection broke: recent has to be sent first
}

// Bounds of what is sent again after a break.
const (
	recentFrames = 1000
	recentBytes  = 1 << 20
)

// NewSyslog checks the options. It connects with the first batch.
func NewSyslog(o SyslogOptions) (*Syslog, error) {
	if o.Address == "" || o.TLS == nil {
		return nil, errors.New("syslog needs an address and TLS")
	}
	if o.Settle == 0 {
		o.Settle = 200 * time.Millisecond
	}
	o.TLS = o.TLS.Clone()
	o.TLS.MinVersion = max(o.TLS.MinVersion, tls.VersionTLS12)
	if o.TLS.ServerName == "" {
		host, _, err := net.SplitHostPort(o.Address)
		if err != nil {
			return nil, err
		}
		o.TLS.ServerName = host
	}
	return &Syslog{o: o}, nil
}

// Send writes the batch as frames with their lengths.
func (s *Syslog) Send(ctx context.Context, batch []Delivery) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err := s.conn.SetWriteDeadline(deadline)
	w := bufio.NewWriter(s.conn) // keeps the first error for Flush
	if s.again {
		for _, frame := range s.recent {
			w.Write(frame)
		}
	}
	frames := make([][]byte, 0, len(batch))
	var message []byte
	for _, d := range batch {
		message = appendMessage(message[:0], &s.o, d)
		frame := append(strconv.AppendInt(nil, int64(len(message)), 10), ' ') // RFC 5425, section 4.3: MSG-LEN SP SYSLOG-MSG
		frames = append(frames, append(frame, message...))
		w.Write(frames[len(frames)-1])
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		settled := time.NewTimer(s.o.Settle)
		defer settled.Stop()
		select {
		case err = <-s.broken:
		case <-ctx.Done():
			err = ctx.Err()
		case <-settled.C:
		}
	}
	if err != nil {
		s.again = true
		return errors.Join(err, s.Close())
	}
	s.again = false
	s.keep(frames)
	return nil
}

// keep remembers what was sent last.
func (s *Syslog) keep(frames [][]byte) {
	for _, f := range frames {
		s.recent = append(s.recent, f)
		s.held += len(f)
	}
	for len(s.recent) > recentFrames || s.held > recentBytes && len(s.recent) > 1 {
		s.held -= len(s.recent[0])
		s.recent = s.recent[1:]
	}
}

func (s *Syslog) connect(ctx context.Context) error {
	if s.conn != nil {
		select {
		case <-s.broken: // between two batches: both ends were idle
			s.again = true
			_ = s.Close() // it is broken
		default:
			return nil
		}
	}
	c, err := (&tls.Dialer{Config: s.o.TLS}).DialContext(ctx, "tcp", s.o.Address)
	if err != nil {
		return err
	}
	conn := c.(*tls.Conn)
	broken := make(chan error, 1)
	s.conn, s.broken = conn, broken
	go func() {
		_, err := io.Copy(io.Discard, conn) // a receiver says nothing until it closes
		if err == nil {
			err = errors.New("the receiver closed the connection")
		}
		broken <- err
	}()
	return nil
}

// Close says goodbye (RFC 5425, section 4.4).
func (s *Syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// auditFacility is syslog's "log audit".
const auditFacility = 13

// appendMessage is RFC 5424, section 6.
func appendMessage(b []byte, o *SyslogOptions, d Delivery) []byte {
	severity := 6 // informational
	switch d.Record.Kind {
	case accesslog.KindRefusal:
		severity = 4 // warning
	case accesslog.KindAdmin, accesslog.KindRecovery:
		severity = 5 // notice
	}
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(auditFacility*8+severity), 10)
	b = append(b, ">1 "...)
	b = d.Record.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, ' ')
	b = append(b, header(o.Hostname, 255)...)
	b = append(b, " halfdoor - "...)
	b = append(b, header(string(d.Record.Kind), 32)...)
	// Halfdoor has no enterprise number of its own: 32473 is the one for examples (RFC 5612).
	b = append(b, " [halfdoor@32473"...)
	for _, p := range [...][2]string{{"origin", o.Origin}, {"seq", strconv.FormatInt(d.Record.Sequence, 10)}, {"correlation", d.Record.Correlation},
		{"ticket", d.Record.Ticket.ID}, {"code", d.Record.Code}} {
		if p[1] != "" {
			b = append(b, ' ')
			b = append(b, p[0]...)
			b = append(b, `="`...)
			b = append(b, escapeParam.Replace(p[1])...)
			b = append(b, '"')
		}
	}
	b = append(b, "] "...)
	return append(b, d.Line...)
}

// escapeParam is RFC 5424, section 6.3.3.
var escapeParam = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// header is a field of printable ASCII.
func header(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}
