package accesslog_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// rotate makes the site sign with a new key that the present one introduces.
func (s *site) rotate(t *testing.T) (retired string) {
	t.Helper()
	old, retired := s.signer, s.verifier
	var err error
	if s.signer, s.verifier, err = accesslog.GenerateKey("gateway.example/access"); err != nil {
		t.Fatal(err)
	}
	s.tune = func(o *accesslog.Options) { o.RetiringKey = []byte(old) }
	return retired
}

func verifyWith(t *testing.T, s *site, checkpoint []byte, keys ...string) (*accesslog.Verified, error) {
	t.Helper()
	return accesslog.Verify(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: strings.Join(keys, "\n"), Checkpoint: checkpoint})
}

func TestKeyRotation(t *testing.T) {
	s := newSite(t)
	s.fs = &faultFS{}
	s.fill(t, 5)
	first, before := s.verifier, s.get(t, "checkpoint")
	s.rotate(t)
	s.fill(t, 5)
	second := s.verifier
	s.fill(t, 1) // the old key is still configured, and is not introduced again
	s.tune = nil
	s.fill(t, 1) // and is not needed any more
	s.rotate(t)
	s.fill(t, 2)
	third := s.verifier
	s.tune = nil

	for name, keys := range map[string][]string{"new": {third}, "all": {first, second, third}, "old": {first}, "middle": {second}, "twice": {third, third}} {
		v, err := verifyWith(t, s, nil, keys...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v.Records != 16 || v.Unsigned != 0 {
			t.Errorf("%s: %+v", name, v)
		}
		trusted := strings.Count(strings.Join(v.Notes, "\n"), "it is trusted on that one's word")
		if want := map[string]int{"old": 2, "middle": 1}[name]; trusted != want {
			t.Errorf("%s: %d keys are trusted on another's word: %q", name, trusted, v.Notes)
		}
	}
	// A checkpoint from before the rotation is still verified by the key that signed it.
	if v, err := verifyWith(t, s, before, first); err != nil || v.KeptSize != 5 {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := verifyWith(t, s, before, third); !errors.Is(err, accesslog.ErrKey) {
		t.Errorf("a checkpoint of a key that was not given: %v", err)
	}
	proof, err := accesslog.Prove(t.Context(), accesslog.VerifyOptions{Dir: s.dir, Key: first}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accesslog.CheckProof(proof, third); err != nil {
		t.Error(err)
	}
	var said []string
	for _, r := range s.records(t) {
		if r.Kind == accesslog.KindRotation {
			said = append(said, r.Detail)
		}
	}
	if len(said) != 2 || !strings.HasPrefix(said[0], second+" signs from here on") || !strings.HasPrefix(said[1], third+" signs from here on") {
		t.Errorf("%q", said)
	}
}

func TestKeyRotationRefuses(t *testing.T) {
	s := newSite(t)
	s.fs = &faultFS{}
	s.fill(t, 3)
	other, _, err := accesslog.GenerateKey("other.example/access")
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"the signing key itself": s.signer, "of another log": other, "no key": "secret"} {
		s.tune = func(o *accesslog.Options) { o.RetiringKey = []byte(key) }
		if l, err := s.try(); err == nil {
			l.Close()
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error holds it", name)
		}
	}
	// A new key that nobody introduces is refused, as ever; and so is one that a stranger introduces.
	s.tune = nil
	kept := *s
	stranger := newSite(t)
	s.signer = stranger.signer
	_, err = s.try()
	asDamage(t, err)
	if !errors.Is(err, accesslog.ErrKey) {
		t.Error(err)
	}
	third := newSite(t)
	s.tune = func(o *accesslog.Options) { o.RetiringKey = []byte(third.signer) }
	if _, err = s.try(); !errors.Is(err, accesslog.ErrKey) {
		t.Error(err)
	}
	s = &kept
	s.mustVerify(t)
	// A forged introduction leads nowhere: by the true key it is not signed, and one that is changed is named.
	true1 := s.verifier
	s.rotate(t)
	s.fill(t, 2)
	name := s.names(t, "key-rotation.*")[0]
	note := string(s.get(t, name))
	s.put(t, name, []byte(strings.Replace(note, s.verifier, stranger.verifier, 1)))
	if _, err := verifyWith(t, s, nil, true1); !errors.Is(err, accesslog.ErrKey) {
		t.Errorf("%v", err)
	}
	s.put(t, "key-rotation.2", []byte(note))
	if _, err := verifyWith(t, s, nil, true1); err == nil {
		t.Error("an introduction under another number was taken")
	}
}

// The power is cut anywhere while the key rotates: the log goes on with both keys, nothing is lost, and in
// the end the old key leads to the new one.
func TestKeyRotationPowerCut(t *testing.T) {
	base := aged(t, 30)
	base.tune = retaining(30, 10*60*60*1e9)
	if err := base.tidy(t); err != nil {
		t.Fatal(err)
	}
	removed := base.mustVerify(t).Removed
	if removed == 0 {
		t.Fatal("nothing was removed")
	}
	first := base.rotate(t)
	for _, eager := range []bool{false, true} {
		for n := 1; ; n++ {
			s := base.copyTo(t, filepath.Join(t.TempDir(), "log"))
			p := &powerFS{left: n, eager: eager}
			p.load(t, s.dir)
			s.fs = p
			l, err := s.try()
			if err == nil {
				err = l.Close()
			}
			s.dir = filepath.Join(t.TempDir(), "rebooted")
			p.reboot(t, s.dir)
			s.fs = &faultFS{}
			again, e := s.try()
			if e != nil {
				t.Fatalf("cut at call %d: %v", n, e)
			}
			if e := again.Close(); e != nil {
				t.Fatal(e)
			}
			for _, key := range []string{first, s.verifier} {
				v, e := verifyWith(t, s, nil, key)
				if e != nil {
					t.Fatalf("cut at call %d: %v", n, e)
				}
				if v.Removed != removed || v.Unsigned != 0 {
					t.Fatalf("cut at call %d: %+v", n, v)
				}
			}
			s.tune = nil // the old key is not needed any more, also not for what retention has signed
			s.fill(t, 1)
			if err == nil {
				break
			}
		}
	}
}
