package vault_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/vault"
)

const benchID = "550e8400-e29b-41d4-a716-446655440000"

// BenchmarkSeal is a first sight of an id: by the time it comes again it is forgotten.
func BenchmarkSeal(b *testing.B) {
	for _, c := range []struct{ name, form string }{
		{"uuid", "%08x-e29b-41d4-a716-446655440000"}, {"decimal", "1%07d"}, {"id24", "erXuFYUfucBZaryV%08d"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := sealer(b, open(b, "1", ""), "", "app", "main")
			ids, dst := make([][]byte, 2*vault.MemoEntries), make([]byte, 0, 64)
			for i := range ids {
				ids[i] = fmt.Appendf(nil, c.form, i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				dst, _ = s.AppendToken(dst[:0], "Patient", ids[i%len(ids)])
			}
		})
	}
}

// BenchmarkMemo is a second sight of an id.
func BenchmarkMemo(b *testing.B) {
	s := sealer(b, open(b, "1", ""), "", "app", "main")
	id, dst := []byte(benchID), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = s.AppendToken(dst[:0], "Patient", id)
	}
}

// BenchmarkSealer is what a request pays before its first token, and for its first.
func BenchmarkSealer(b *testing.B) {
	v := open(b, "1", "")
	id, dst := []byte(benchID), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := v.Sealer("", "app", "main")
		dst, _ = s.AppendToken(dst[:0], "Patient", id)
		s.Release()
	}
}

// BenchmarkAnswer is a searchset's entries: each has an id of its own, in its fullUrl, its id and among the subjects, and
// refers to the same patient and one of a few practitioners. It is per entry.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{10, 100, 3000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			v := open(b, "1", "")
			ids, dst := make([][]byte, n), make([]byte, 0, 64)
			for i := range ids {
				ids[i] = fmt.Appendf(nil, "%08x-e29b-41d4-a716-%012x", i*0x9e3779b1&0xffffffff, i*0x1234567)
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				s := sealer(b, v, "", "app", "main")
				for from := 0; from < n; from += 50 { // a window
					some := ids[from:min(from+50, n)]
					for j, id := range some {
						dst, _ = s.AppendToken(dst[:0], "Encounter", id)
						dst, _ = s.AppendToken(dst[:0], "Encounter", id)
						dst, _ = s.AppendToken(dst[:0], "Patient", ids[0])
						dst, _ = s.AppendToken(dst[:0], "Practitioner", ids[j%5])
					}
					for _, id := range some {
						dst, _ = s.AppendToken(dst[:0], "Encounter", id)
					}
				}
				s.Release()
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(b, open(b, "1", ""), "", "app", "main")
	token := seal(b, s, "Patient", benchID)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Open("Patient", token)
	}
}

// BenchmarkLongID makes each token durable, one caller after another and many at once.
func BenchmarkLongID(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		s := sealer(b, open(b, "1", b.TempDir()), "", "app", "main")
		for i := 0; b.Loop(); i++ {
			_, _ = s.AppendToken(nil, "Patient", []byte(long(i)))
		}
	})
	b.Run("known", func(b *testing.B) {
		v := open(b, "1", b.TempDir())
		id := []byte(long(0))
		b.ReportAllocs()
		for b.Loop() {
			s, _ := v.Sealer("", "app", "main")
			_, _ = s.AppendToken(nil, "Patient", id)
		}
	})
}
