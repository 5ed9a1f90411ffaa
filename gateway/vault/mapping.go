package vault

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// The mapping file, longids.log, holds what opens the tokens of long ids. It is only ever appended to. After a first
// line that names its format, each line is
//
//	token ' ' base64url(AES-SIV-sealed id) ' ' CRC-32C of what is before, 8 hex digits '\n'
//
// It is of no use without the keyset, but losing it loses those tokens. A line is on disk before its token is released,
// so what a crash cuts short was promised to nobody: text after the last line's end is cut off when the file is opened.
// A complete line that does not read is skipped and counted; it costs its own token and no other.
//
// An entry in memory is a file offset (about 50 bytes); the lines stay in the file.

const (
	mappingName   = "longids.log"
	mappingHeader = "halfdoor long ids 1\n"
	maxLine       = 256 // the longest is 121
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	sealedText = base64.RawURLEncoding.Strict()
)

// mapName names a long id: what is in its token.
type mapName struct {
	epoch byte
	mac   [nameBytes]byte
}

func (n mapName) appendToken(dst []byte) []byte {
	return appendBase62(append(dst, 'v', n.epoch), n.mac[:])
}

// tokenLen is the length of every token of a long id.
var tokenLen = 2 + encodedLen(nameBytes)

func appendLine(dst []byte, token string, sealed []byte) []byte {
	start := len(dst)
	dst = append(append(dst, token...), ' ')
	dst = append(sealedText.AppendEncode(dst, sealed), ' ')
	return fmt.Appendf(dst, "%08x\n", crc32.Checksum(dst[start:len(dst)-1], castagnoli))
}

// parseLine reads a line without its end.
func parseLine(line []byte) (name mapName, sealed []byte, ok bool) {
	const sum = 1 + 8
	if len(line) < tokenLen+1+sum {
		return name, nil, false
	}
	text, end := line[:len(line)-sum], line[len(line)-sum:]
	crc, err := strconv.ParseUint(string(end[1:]), 16, 32)
	if err != nil || end[0] != ' ' || uint32(crc) != crc32.Checksum(text, castagnoli) {
		return name, nil, false
	}
	token, rest := text[:tokenLen], text[tokenLen:]
	if token[0] != 'v' || rest[0] != ' ' {
		return name, nil, false
	}
	name.epoch = token[1]
	if _, ok := appendDecoded(name.mac[:0], string(token[2:])); !ok {
		return name, nil, false
	}
	sealed, err = sealedText.AppendDecode(nil, rest[1:])
	return name, sealed, err == nil && len(sealed) > sivBytes
}

// openMapping opens, locks and loads the file in dir, and makes both where they do not exist.
func openMapping(dir string) (*mapping, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, mappingName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	m := &mapping{dir: dir, file: f, refs: 1, index: map[mapName]int64{}}
	if err := m.load(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return m, nil
}

func (m *mapping) load(f *os.File) error {
	if err := lock(f); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, info.Size()), 64<<10)
	head := make([]byte, len(mappingHeader))
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("vault: read mapping: %w", err)
	}
	switch {
	case string(head[:n]) == mappingHeader:
		m.size = int64(n)
	case info.Size() <= int64(len(mappingHeader)) && torn(head[:n]):
		// New, or its making was cut short, before any entry.
		if _, err := f.WriteAt([]byte(mappingHeader), 0); err != nil {
			return fmt.Errorf("vault: write mapping: %w", err)
		}
		m.size = int64(len(mappingHeader))
	default:
		return fmt.Errorf("vault: %s is not a mapping file of this version", f.Name())
	}
	if err := m.loadLines(r); err != nil {
		return err
	}
	if err := f.Truncate(m.size); err != nil {
		return fmt.Errorf("vault: cut torn mapping: %w", err)
	}
	// A killed process may have left lines that the disk does not have yet; tokens are about to rely on them.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("vault: sync mapping: %w", err)
	}
	return syncDir(m.dir)
}

// loadLines indexes the lines and leaves m.size after the last complete one.
func (m *mapping) loadLines(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		size := int64(len(line))
		long := false
		for errors.Is(err, bufio.ErrBufferFull) { // no line of ours
			long = true
			line, err = r.ReadSlice('\n')
			size += int64(len(line))
		}
		if errors.Is(err, io.EOF) {
			return nil // what is left has no end: torn
		}
		if err != nil {
			return fmt.Errorf("vault: read mapping: %w", err)
		}
		if name, _, ok := parseLine(line[:len(line)-1]); ok && !long {
			m.index[name] = m.size
		} else {
			m.damaged++
		}
		m.size += size
	}
}

// torn says whether a file no longer than the header is the beginning of one, or what a crash made of it.
func torn(head []byte) bool {
	head = bytes.TrimRight(head, "\x00")
	return bytes.HasPrefix([]byte(mappingHeader), head)
}
