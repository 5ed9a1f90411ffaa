package upstream

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// transport makes the connection pool. HTTP/2 is used where the server offers it over TLS.
func (o *Options) transport() *http.Transport {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs, ServerName: o.ServerName},
		TLSHandshakeTimeout:    o.ConnectTimeout,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		MaxResponseHeaderBytes: o.MaxHeader,
		MaxConnsPerHost:        o.MaxConnections,
		MaxIdleConnsPerHost:    o.MaxConnections,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true, // or a decoded body would be longer than its bounds know
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			// The default lets a fast server put 4 MiB of one body into memory before anyone reads it.
			MaxReceiveBufferPerStream: 256 << 10,
			// A connection that went dead without a word is found out before a call waits for it.
			SendPingTimeout: 30 * time.Second,
			PingTimeout:     15 * time.Second,
		},
	}
	o.present(t.TLSClientConfig)
	if o.ProxyFromEnvironment {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}
