package main

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

const epochs = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0"

// rotation renews every key that is renewed in service: the issuer's, the vault's, the gateway's own token for the EHR,
// and the listener's certificate. Each new one has to be seen in use.
func rotation(ctx context.Context, s *scene) error {
	before := s.certificate()
	epoch, err := s.renewVault()
	if err := errors.Join(err, s.issuer.Rotate(), s.mint(), s.renewBearer()); err != nil {
		return err
	}
	if _, err := certs.Development(s.path("certs"), []string{"127.0.0.1"}, time.Now); err != nil {
		return err
	}
	if err := s.gateway.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	defer s.revokeBearer()
	pick := rand.New(rand.NewPCG(1, 2))
	for what, holds := range map[string]func() bool{
		"the EHR to be shown the new token": s.shown.Load,
		"the listener's new certificate":    func() bool { now := s.certificate(); return now != "" && now != before },
		"a token of the vault's new key":    func() bool { return s.sealedBy(epoch) },
	} {
		if err := s.until(20*time.Second, what, func() bool { s.count(s.call(pick)); return holds() }); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// renewBearer gives the gateway another token for the EHR, which takes both until the old one is revoked.
func (s *scene) renewBearer() error {
	fresh := crand.Text()
	s.mu.Lock()
	s.bearers = append(s.bearers, fresh)
	s.mu.Unlock()
	s.shown.Store(false)
	return replace(s.path(bearerFile), []byte(fresh))
}

func (s *scene) revokeBearer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bearers = s.bearers[len(s.bearers)-1:]
}

// guarded is an EHR that takes the gateway's own token and no other.
func (s *scene) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		at := slices.Index(s.bearers, token)
		newest := at == len(s.bearers)-1
		s.mu.Unlock()
		if at < 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if newest {
			s.shown.Store(true)
		}
		next.ServeHTTP(w, r)
	})
}

// certificate is the listener's, by its number.
func (s *scene) certificate() string {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", s.listens, s.trust.Clone())
	if err != nil {
		return ""
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// sealedBy says whether a token of an epoch came to anybody.
func (s *scene) sealedBy(epoch string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, got := range s.seen {
		for token := range got.patients {
			if strings.HasPrefix(token, "t"+epoch) {
				return true
			}
		}
	}
	return false
}

// renewVault gives the keyset another primary key, and returns its epoch; the others go on opening.
func (s *scene) renewVault() (epoch string, err error) {
	file := s.path("keys/token-keyset.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	fresh, err := vault.NewKeyset(crand.Reader, time.Now())
	if err != nil {
		return "", err
	}
	var old, added map[string]any
	if err := errors.Join(json.Unmarshal(text, &old), json.Unmarshal(fresh, &added)); err != nil {
		return "", err
	}
	keys, ok := old["keys"].([]any)
	more, also := added["keys"].([]any)
	if !ok || !also || len(keys) >= len(epochs) || len(more) != 1 {
		return "", fmt.Errorf("a keyset of another form, or with too many keys: %d", len(keys))
	}
	used := map[string]bool{}
	for _, k := range keys {
		key := k.(map[string]any)
		key["status"] = "enabled"
		used[fmt.Sprint(key["epoch"])] = true
	}
	for epoch = range strings.SplitSeq(epochs, "") {
		if !used[epoch] {
			more[0].(map[string]any)["epoch"] = epoch
			break
		}
	}
	old["keys"] = append(keys, more[0])
	out, err := json.Marshal(old)
	if err != nil {
		return "", err
	}
	return epoch, replace(file, out)
}
