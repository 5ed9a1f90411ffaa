package auth_test

import (
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// BenchmarkAuthenticate is a token that is remembered, one that is verified anew, and what it costs
// to hold one to its key at each call.
func BenchmarkAuthenticate(b *testing.B) {
	iss := newIssuer(b, rsaKey("rsa"), ecKey("ec"))
	for _, c := range []struct {
		name string
		key  signingKey
		size int
	}{
		{"cached", rsaKey("rsa"), 0},
		{"uncached/RS256", rsaKey("rsa"), -1},
		{"uncached/ES256", ecKey("ec"), -1},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := newAuth(b, auth.Options{Issuers: []auth.Issuer{iss.config()}, Now: newClock().now, CacheSize: c.size})
			header := []string{"Bearer " + sign(b, c.key, "at+jwt", iss.claims())}
			b.SetBytes(int64(len(header[0])))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), auth.Request{Authorization: header}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("introspected/cached", func(b *testing.B) {
		opaque := newOpaqueIssuer(b)
		a := newAuth(b, auth.Options{Issuers: []auth.Issuer{opaque.config()}, Now: newClock().now})
		header := []string{"Bearer " + opaque.gives("opaque")}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authenticate(b.Context(), auth.Request{Authorization: header}); err != nil {
				b.Fatal(err)
			}
		}
		if n := opaque.asked.Load(); n != 1 {
			b.Errorf("asked %d times", n)
		}
	})
	b.Run("cached/DPoP", func(b *testing.B) {
		bound := newBindings(b, func(o *auth.Options) { o.Replays = forgetful{} })
		request := bound.request(bound.bound, proof(bound.bound))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bound.Authenticate(b.Context(), request); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// forgetful takes every proof for the first: a benchmark has only one.
type forgetful struct{}

func (forgetful) Use(string, [32]byte, time.Time) (bool, error) { return true, nil }
