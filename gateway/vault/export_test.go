package vault

import "fmt"

// File is what a vault asks of its mapping file.
type File = file

// ReplaceFile puts another file in the place of the mapping file, as a fault.
func (v *Vault) ReplaceFile(with func(File) File) { v.mapping.file = with(v.mapping.file) }

// Base62 and its inverse.
var (
	AppendBase62  = appendBase62
	AppendDecoded = appendDecoded
	EncodedLen    = encodedLen
)

// Remembered counts the clients whose keys are cached.
func (v *Vault) Remembered() int {
	v.clients.mu.Lock()
	defer v.clients.mu.Unlock()
	return v.clients.used.Len()
}

// Remembered counts the tokens that a sealer remembers.
func (s *Sealer) Remembered() int {
	if s.scratch == nil {
		return 0
	}
	return s.count
}

// Text is the text of what a sealer remembers.
func (s *Sealer) Text() []byte { return s.text }

// Kept is the memory of a sealer, all that there is room for, which stays readable when it is released.
func (s *Sealer) Kept() func() string {
	w := s.scratch
	return func() string {
		return fmt.Sprintf("%s%x%x%x%x%x%v", w.text[:cap(w.text)], w.ad[:cap(w.ad)], w.plain[:cap(w.plain)], w.sealed[:cap(w.sealed)],
			w.other, w.slots, w.kinds[:cap(w.kinds)])
	}
}

// The bounds of what is remembered.
const (
	MaxClients  = maxClients
	MemoEntries = memoEntries
	MemoKinds   = memoKinds
	MemoValue   = memoValue
	MemoText    = memoText
)

// SIV is AES-SIV as the vault has it, bound to one associated data.
type SIV struct {
	siv *siv
	to  *bound
}

// NewSIV takes a key of 64 bytes, or of 32 as RFC 5297's examples have it.
func NewSIV(key, ad []byte) (SIV, error) {
	s, err := newSIV(key)
	if err != nil {
		return SIV{}, err
	}
	b := SIV{s, new(bound)}
	s.bind(b.to, ad)
	return b, nil
}

func (s SIV) Seal(dst, plain []byte) []byte          { return s.siv.seal(dst, s.to, plain) }
func (s SIV) Open(dst, sealed []byte) ([]byte, bool) { return s.siv.open(dst, s.to, sealed) }
