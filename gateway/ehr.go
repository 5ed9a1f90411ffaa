package gateway

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// newEHR is the upstream of one configured EHR. before is what it was under the configuration before; nil for nothing.
func newEHR(c *configs.EHR, maxBody int64, before *upstream.EHR, changed breakerChange, now func() time.Time) (*upstream.EHR, error) {
	roots, err := roots(c.CA)
	if err != nil {
		return nil, err
	}
	var identity *tls.Certificate
	if c.Certificate != "" {
		if identity, err = certs.LoadIdentity(c.Certificate, c.Key, now); err != nil {
			return nil, err
		}
	}
	oauth, err := newOAuth(c.OAuth)
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	var breaker *upstream.Breaker
	if b := c.Breaker; b.Calls > 0 {
		breaker = &upstream.Breaker{Calls: b.Calls, Percent: b.Percent, Within: time.Duration(b.Within), Rest: time.Duration(b.Rest)}
	}
	return upstream.New(upstream.Options{
		Name: c.Name, BaseURL: c.BaseURL, Standbys: c.StandbyURLs, ServerName: c.TLSServerName, Aliases: c.Aliases,
		Load: upstream.Load{
			Requests: c.Load.Requests, Queue: c.Load.Queue, Wait: time.Duration(c.Load.Wait), PerSecond: c.Load.PerSecond, Burst: c.Load.Burst,
		},
		Breaker: breaker, Previous: before,
		Changed: func(address string, from, to upstream.State) { changed(c.Name, address, from, to) },
		Bearer:  upstream.Secret(c.Bearer.Value()), OAuth: oauth, InsecureForwardCaller: c.InsecureForwardCallerToken,
		Certificate: identity, RootCAs: roots,
		ConnectTimeout: time.Duration(c.Timeouts.Connect), HeaderTimeout: time.Duration(c.Timeouts.Header),
		IdleTimeout: time.Duration(c.Timeouts.Idle), TotalTimeout: time.Duration(c.Timeouts.Total),
		Retries: c.Retries, MaxConnections: c.MaxConnections, InsecureHTTP: c.InsecureHTTP, MaxBody: maxBody, Product: "Halfdoor", Now: now,
	})
}

// breakerChange is told of each change of an EHR's breaker.
type breakerChange func(ehr, address string, from, to upstream.State)

func newOAuth(c *configs.OAuth) (*upstream.OAuth, error) {
	if c == nil {
		return nil, nil
	}
	o := &upstream.OAuth{
		ClientID: c.ClientID, ClientSecret: upstream.Secret(c.ClientSecret.Value()), TokenURL: c.TokenURL, Audience: c.Audience,
		Scopes: c.Scopes, Resource: c.Resource, Exchange: c.ExchangeCallerToken,
	}
	var err error
	if o.RootCAs, err = roots(c.CA); err != nil {
		return nil, err
	}
	for _, file := range c.Keys {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		keys, err := upstream.ParseKeys(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		o.Keys = append(o.Keys, keys...)
	}
	return o, nil
}
