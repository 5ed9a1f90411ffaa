package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/policies/delivery"
)

// Finding is one thing that Check looked at, and what is wrong with it.
type Finding struct {
	Item string
	Note string // what was seen, where all is well
	Err  error
}

// Check looks at every part of a configuration as a start would, without taking the access
// log or the vault's file from a gateway that runs. With online it also asks each issuer
// and EHR.
func Check(ctx context.Context, cfg *configs.Config, online bool, now func() time.Time) []Finding {
	var found []Finding
	look := func(item, note string, err error) {
		if err != nil {
			note = ""
		}
		found = append(found, Finding{item, note, err})
	}
	_, err := listenerTLS(cfg.TLS, now)
	look("tls", "certificate and key", err)
	if cfg.Admin.TLS != nil {
		_, err := listenerTLS(*cfg.Admin.TLS, now)
		look("admin.tls", "certificate and key", err)
	}
	found = append(found, checkPolicy(cfg))
	if cfg.Policy.Server != nil && online {
		note, err := fetchPolicy(ctx, cfg)
		look("policy, online", note, err)
	}
	tokens, err := vault.Open(vault.Options{Keyset: cfg.Vault.Keyset.Bytes(), Now: now})
	if err == nil {
		err = tokens.Close()
	}
	look("vault.keyset", "token keys", err)
	found = append(found, checkLog(cfg))
	authn, err := authenticator(cfg, nil, nil, now)
	look("issuers", fmt.Sprintf("%d configured", len(cfg.Issuers)), err)
	if err == nil {
		defer authn.Close()
		if online {
			look("issuers, online", "discovery and keys", errors.Join(authn.Check(ctx)...))
		}
	}
	for i := range cfg.EHRs {
		c := &cfg.EHRs[i]
		ehr, err := newEHR(c, int64(cfg.Limits.ResponseBytes), nil, func(string, string, upstream.State, upstream.State) {}, now)
		look("ehr "+c.Name, c.BaseURL, err)
		if err == nil {
			if online {
				look("ehr "+c.Name+", online", "metadata", ehr.Check(ctx))
			}
			ehr.Close()
		}
	}
	return found
}

// checkPolicy looks at the bundle, or at how it is to come.
func checkPolicy(cfg *configs.Config) Finding {
	f := Finding{Item: "policy"}
	if cfg.Policy.Server != nil {
		f.Note = "from " + cfg.Policy.Server.URL
		o, err := deliveryOf(cfg)
		if err == nil {
			o.Activate, o.Told = func(context.Context, fs.FS) error { return nil }, func(error) {}
			var d *delivery.Delivery
			if d, err = delivery.New(o); err == nil {
				d.Stop(context.Background())
			}
		}
		f.Err = err
		return f
	}
	engine, err := policiesOf(&cfg.Policy)
	if f.Err = err; err == nil {
		f.Note = fmt.Sprintf("revision %s, datasets %v", engine.Revision(), engine.Datasets())
	}
	return f
}

// fetchPolicy asks the bundle server, and checks what it has as the gateway would.
func fetchPolicy(ctx context.Context, cfg *configs.Config) (note string, err error) {
	o, err := deliveryOf(cfg)
	if err != nil {
		return "", err
	}
	o.Status, o.DecisionLogs = false, delivery.DecisionLogs{} // a check is no gateway
	o.Told = func(error) {}
	o.Activate = func(ctx context.Context, tree fs.FS) error {
		engine, err := CheckBundle(ctx, tree)
		if err == nil {
			note = fmt.Sprintf("revision %s, datasets %v", engine.Revision(), engine.Datasets())
		}
		return err
	}
	err = delivery.Once(ctx, o)
	return note, err
}

// checkLog looks at the log's keys; the folder is the running gateway's.
func checkLog(cfg *configs.Config) Finding {
	f := Finding{Item: "access_log"}
	key, err := accesslog.VerifierKey(cfg.AccessLog.SigningKey.Bytes())
	if err == nil {
		_, err = accesslog.NewHasher(cfg.AccessLog.PatientKey.Bytes())
	}
	if err == nil && !strings.HasPrefix(key, cfg.AccessLog.Origin+"+") {
		err = errors.New("signing_key was made for another origin than access_log.origin")
	}
	f.Note, f.Err = "verifier key "+key, err
	return f
}
