package vault_test

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

func TestLinks(t *testing.T) {
	v := open(t, "1", "")
	s := sealer(t, v, "t", "app", "main")
	urlSafe := regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	for _, plain := range [][]byte{{}, []byte("Patient?_page=2"), bytes.Repeat([]byte{0xff}, vault.MaxLink)} {
		link, err := s.SealLink(plain, "alice")
		if err != nil {
			t.Fatal(err)
		}
		if !urlSafe.MatchString(link) {
			t.Errorf("link %q is not URL-safe", link)
		}
		if got, err := s.OpenLink(link, "alice"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("link gives %q, %v; want %q", got, err, plain)
		}
		if again, _ := s.SealLink(plain, "alice"); again == link {
			t.Error("two links of one content are the same")
		}
	}
	if _, err := s.SealLink(make([]byte, vault.MaxLink+1), ""); err != vault.ErrTooLong {
		t.Errorf("a huge link gives %v", err)
	}
}

func TestLinksOfStrangers(t *testing.T) {
	v := open(t, "12", "")
	s := sealer(t, v, "t", "app", "main")
	link, err := s.SealLink([]byte("page 2"), "alice")
	if err != nil {
		t.Fatal(err)
	}
	notLink := func(name string, s *vault.Sealer, link, bound string) {
		t.Helper()
		if got, err := s.OpenLink(link, bound); err != vault.ErrNotLink || got != nil {
			t.Errorf("%s: got %q, %v; want ErrNotLink itself", name, got, err)
		}
	}
	notLink("bound", s, link, "bob")
	notLink("tenant", sealer(t, v, "u", "app", "main"), link, "alice")
	notLink("client", sealer(t, v, "t", "app2", "main"), link, "alice")
	notLink("EHR", sealer(t, v, "t", "app", "other"), link, "alice")
	notLink("empty", s, "", "alice")
	notLink("token", s, seal(t, s, "Patient", "1"), "alice")
	notLink("padding", s, link+"=", "alice")
	notLink("line break", s, link[:9]+"\n"+link[9:], "alice")
	notLink("long", s, link+string(bytes.Repeat([]byte("A"), 1<<20)), "alice")
	for i := range len(link) {
		notLink("cut", s, link[:i], "alice")
		for _, c := range "01Aa-_+/=. \x00" {
			if byte(c) != link[i] {
				notLink("changed", s, link[:i]+string(c)+link[i+1:], "alice")
			}
		}
	}
	refused(t, s, "Patient", link)
}

// A text either is no link, or opens.
func FuzzOpenLink(f *testing.F) {
	v := open(f, "12", "")
	s := sealer(f, v, "", "app", "main")
	link, err := s.SealLink([]byte("page"), "b")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.OpenLink(link, "b"); err != nil {
		f.Fatal(err)
	}
	f.Add(link)
	f.Add("")
	f.Add("1")
	f.Add("1AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := sealer(t, v, "", "app", "main").OpenLink(text, "b"); err != nil && err != vault.ErrNotLink {
			t.Fatal(err)
		}
	})
}
