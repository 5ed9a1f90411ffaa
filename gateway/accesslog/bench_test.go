package accesslog_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// BenchmarkAppend appends to a real disk, with full segments of the default size.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := newSite(b)
			s.segment = 0
			l := s.open(b)
			r := sample(1)
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			b.ResetTimer()
			begin := time.Now()
			for range callers {
				go func() {
					for left.Add(-1) >= 0 {
						if _, err := l.Append(r); err != nil {
							b.Error(err)
							break
						}
					}
					done <- struct{}{}
				}()
			}
			for range callers {
				<-done
			}
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "records/s")
		})
	}
}

func benchLog(b *testing.B, n int) *site {
	s := newSite(b)
	s.dir = filepath.Join(b.TempDir(), "log")
	s.fs = &faultFS{}
	s.segment = 8 << 20
	l := s.open(b)
	done := make(chan error)
	for c := range 64 {
		go func() {
			for i := range n / 64 {
				if _, err := l.Append(sample(c*n + i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkVerify(b *testing.B) {
	s := benchLog(b, 64_000)
	b.ReportAllocs()
	for b.Loop() {
		if v := s.mustVerify(b); v.Records != 64_000 {
			b.Fatal(v.Records)
		}
	}
	b.ReportMetric(64_000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkRead(b *testing.B) {
	s := benchLog(b, 64_000)
	for b.Loop() {
		n := 0
		for _, err := range accesslog.Read(s.dir, accesslog.Query{Ticket: "T-1"}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(64_000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
