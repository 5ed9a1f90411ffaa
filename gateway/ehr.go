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

// newEHR is the upstream of one configured EHR.
func newEHR(c *configs.EHR, maxBody int64, now func() time.Time) (*upstream.EHR, error) {
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
	return upstream.New(upstream.Options{
		Name: c.Name, BaseURL: c.BaseURL, Aliases: c.Aliases,
		Bearer: upstream.Secret(c.Bearer.Value()), OAuth: oauth, InsecureForwardCaller: c.InsecureForwardCallerToken,
		Certificate: identity, RootCAs: roots,
		ConnectTimeout: time.Duration(c.Timeouts.Connect), HeaderTimeout: time.Duration(c.Timeouts.Header),
		IdleTimeout: time.Duration(c.Timeouts.Idle), TotalTimeout: time.Duration(c.Timeouts.Total),
		Retries: c.Retries, MaxConnections: c.MaxConnections, InsecureHTTP: c.InsecureHTTP, MaxBody: maxBody, Product: "Halfdoor", Now: now,
	})
}

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
