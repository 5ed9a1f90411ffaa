package upstream_test

import (
	"bytes"
	stdflate "compress/flate"
	stdgzip "compress/gzip"
	stdzlib "compress/zlib"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// reference decodes by the standard library; nil for a coding that it does not have.
func reference(coding string, data []byte) (io.Reader, error) {
	switch {
	case coding == "gzip":
		return stdgzip.NewReader(bytes.NewReader(data))
	case coding == "deflate" && len(data) > 1 && data[0]&0x0f == 8 && data[0]>>4 <= 7 && (int(data[0])<<8|int(data[1]))%31 == 0:
		src := bytes.NewReader(data)
		r, err := stdzlib.NewReader(src)
		return whole{r, src}, err
	case coding == "deflate":
		src := bytes.NewReader(data)
		return whole{stdflate.NewReader(src), src}, nil
	}
	return nil, nil
}

// whole ends only where its source ends too.
type whole struct {
	io.Reader
	src *bytes.Reader
}

func (w whole) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err == io.EOF && w.src.Len() > 0 {
		err = errors.New("more behind")
	}
	return n, err
}

// FuzzCodings: any bytes in any coding are a body or an *Error, the same however they come, within the bounds, and what
// the standard library makes of them.
func FuzzCodings(f *testing.F) {
	names := []string{"gzip", "deflate", "br", "zstd"}
	e := ehr(f, "http://127.0.0.1", func(o *upstream.Options) { o.MaxBody = 8 << 20 })
	index := func(name string) uint8 {
		for i, n := range names {
			if n == name {
				return uint8(i)
			}
		}
		f.Fatal("no such coding: ", name)
		return 0
	}
	for _, c := range codings {
		for _, body := range [][]byte{nil, []byte(resource), bundle(2000), bytes.Repeat([]byte{' '}, 3<<20)} {
			sent := encode(f, c.encoder, body)
			if got, err := io.ReadAll(e.Decode(head(c.header), bytes.NewReader(sent))); len(body) < 1<<20 && (err != nil || !bytes.Equal(got, body)) {
				f.Fatalf("the seed of %s does not load: %v", c.name, err)
			}
			f.Add(index(head(c.header)), sent)
			f.Add(index(head(c.header)), sent[:len(sent)/2])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		coding := names[int(which)%len(names)]
		b := e.Decode(coding, bytes.NewReader(data))
		got, err := io.ReadAll(b)
		_ = b.Close()
		var failure *upstream.Error
		if err != nil && !errors.As(err, &failure) {
			t.Fatalf("not an *Error: %v", err)
		}
		if len(got) > 1<<20+200*len(data) {
			t.Fatalf("%d bytes of %d", len(got), len(data))
		}
		b = e.Decode(coding, iotest.OneByteReader(bytes.NewReader(data)))
		again, errAgain := io.ReadAll(b)
		_ = b.Close()
		// How much of a broken body comes before the error may differ.
		if (err == nil) != (errAgain == nil) && !errors.Is(err, upstream.TooLarge) || err == nil && !bytes.Equal(got, again) {
			t.Fatalf("whole %d bytes, %v; byte by byte %d bytes, %v", len(got), err, len(again), errAgain)
		}
		r, refErr := reference(coding, data)
		if r == nil && refErr == nil || errors.Is(err, upstream.TooLarge) {
			return
		}
		var want []byte
		if refErr == nil {
			want, refErr = io.ReadAll(r)
		}
		if (err == nil) != (refErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; the standard library %d bytes, %v", len(got), err, len(want), refErr)
		}
	})
}
