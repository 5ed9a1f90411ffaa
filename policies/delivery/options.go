package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Options are of a [Delivery].
type Options struct {
	ID       string // of this gateway, in what OPA's plugins report. Required.
	Service  Service
	Resource string // of the bundle, below the service's URL. Required, unless Discovery names one.
	Polling  Polling
	Signing  Signing
	// InsecureUnsigned takes bundles without a signature, where Signing has no keys: whoever can answer for the server, or
	// change what it answers on the way, then decides who may see what.
	InsecureUnsigned bool
	Persist          string // folder of the last good bundle. Required.
	Discovery        string // resource of a discovery bundle; empty: there is none
	Status           bool   // reported to the service
	DecisionLogs     DecisionLogs

	// Activate is the gate: it returns when the tree is live, or why it cannot be. It is called by one goroutine at a time.
	// A tree that it refused is not shown to it again until another came. Required.
	Activate func(ctx context.Context, tree fs.FS) error
	// Told is called after each attempt to get a bundle, with why it failed, or nil. Required.
	Told func(error)
	once bool // the server is asked once, and nothing kept

	// Logger is for what OPA's plugins tell an operator. Default: nowhere.
	Logger zerolog.Logger
}

// Service is the server.
type Service struct {
	URL              string
	Token, TokenFile string // a bearer token, or the file that it is read from at each call; one at most
	Certificate, Key string // files of what the server is shown; both or none
	CA               string // file of the authorities that may certify it; empty: the system's
}

// Polling says how often the server is asked. Whole seconds; LongPolling 0 is none.
type Polling struct{ Min, Max, LongPolling time.Duration }

// Signing is by whom and for what a bundle has to be signed.
type Signing struct {
	Keys  []Key
	Scope string // that the signature has to state; empty: none
}

// Key is a public key. It says the algorithm; a signature's own word for it counts for nothing.
type Key struct {
	ID        string
	Algorithm string // one of [Algorithms]
	PEM       string
}

// Algorithms are those of signatures: none in which who verifies could sign.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
}

// DecisionLogs says where OPA's decision log goes. It drops events when it is full, so it is no access record.
type DecisionLogs struct{ Service, Console bool }

// bundleName is what OPA calls the bundle: a folder below Persist, and the first step of a module's path.
const bundleName = "halfdoor"

// maxFile bounds one file of a bundle, in bytes, before it is read.
const maxFile = 4 << 20

// serviceName is what OPA calls the server.
const serviceName = "bundles"

type object = map[string]any

func (o *Options) check() error {
	var errs []error
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.ID == "", "an id is required"},
		{o.Service.URL == "", "a service is required"},
		{(o.Resource == "") == (o.Discovery == ""), "either a resource or discovery is required"},
		{strings.HasPrefix(o.Resource, "file:") || strings.HasPrefix(o.Discovery, "file:"), "a resource is one of the service"},
		{o.Persist == "", "a folder for the last good bundle is required"},
		{len(o.Signing.Keys) == 0 && !o.InsecureUnsigned, "bundles without a signature are refused: name the keys that sign them"},
		{o.Activate == nil || o.Told == nil, "all functions are required"},
	} {
		if c.wrong {
			errs = append(errs, errors.New("bundle delivery: "+c.text))
		}
	}
	return errors.Join(append(errs, o.Signing.check())...)
}

func (s Signing) check() error {
	for i, k := range s.Keys {
		switch {
		case k.ID == "" || k.PEM == "":
			return errors.New("bundle signing: a key needs an id and its text")
		case !slices.Contains(Algorithms(), k.Algorithm):
			return fmt.Errorf("bundle signing: key %s: no algorithm %q", k.ID, k.Algorithm)
		case slices.ContainsFunc(s.Keys[:i], func(other Key) bool { return other.ID == k.ID }):
			return fmt.Errorf("bundle signing: two keys have the id %s", k.ID)
		}
		if err := k.check(); err != nil {
			return err
		}
	}
	return nil
}

// document is the configuration that OPA reads.
func (o *Options) document() object {
	doc := object{
		"persistence_directory": o.Persist,
		"services":              object{serviceName: o.Service.document()},
	}
	if len(o.Signing.Keys) > 0 {
		keys := object{}
		for _, k := range o.Signing.Keys {
			keys[k.ID] = object{"key": k.PEM, "algorithm": k.Algorithm, "scope": o.Signing.Scope}
		}
		doc["keys"] = keys
	}
	if o.Discovery == "" {
		doc["bundles"] = object{bundleName: o.source(object{"resource": o.Resource})}
	} else {
		doc["discovery"] = o.source(object{"resource": o.Discovery})
	}
	if o.Status {
		doc["status"] = object{"service": serviceName}
	}
	if o.DecisionLogs.Service || o.DecisionLogs.Console {
		logs := object{"console": o.DecisionLogs.Console, "reporting": object{"min_delay_seconds": 5, "max_delay_seconds": 10}}
		if o.DecisionLogs.Service {
			logs["service"] = serviceName
		}
		doc["decision_logs"] = logs
	}
	return doc
}

// source is a bundle's block, whatever said where it is: how it is verified and kept is always ours.
func (o *Options) source(b object) object {
	b["service"], b["persist"], b["size_limit_bytes"] = serviceName, true, maxFile
	delete(b, "signing")
	if o.once {
		b["trigger"], b["persist"] = "manual", false
	}
	if len(o.Signing.Keys) > 0 {
		b["signing"] = object{"scope": o.Signing.Scope} // even where empty: it is what makes a signature required
	}
	if b["polling"] == nil {
		polling := object{"min_delay_seconds": seconds(o.Polling.Min), "max_delay_seconds": seconds(o.Polling.Max)}
		if o.Polling.LongPolling > 0 {
			polling["long_polling_timeout_seconds"] = seconds(o.Polling.LongPolling)
		}
		b["polling"] = polling
	}
	return b
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func (s Service) document() object {
	doc := object{"url": s.URL}
	switch {
	case s.TokenFile != "":
		doc["credentials"] = object{"bearer": object{"token_path": s.TokenFile}}
	case s.Token != "":
		doc["credentials"] = object{"bearer": object{"token": s.Token}}
	case s.Certificate != "":
		doc["credentials"] = object{"client_tls": object{"cert": s.Certificate, "private_key": s.Key}}
	}
	if s.CA != "" {
		doc["tls"] = object{"ca_cert": s.CA}
	}
	return doc
}

// Fingerprint is equal for options under which a delivery would do the same.
func (o *Options) Fingerprint() (string, error) {
	doc, err := json.Marshal([]any{o.ID, o.InsecureUnsigned, o.document()})
	return string(doc), err
}
