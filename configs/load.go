package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds the configuration file and each secret's file.
const maxFile = 1 << 20

// Load reads the configuration file at path, with everything it refers to. The error is an [*Error] unless the file
// itself cannot be read.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(path, data, filepath.Dir(abs))
	if err != nil {
		return nil, err
	}
	c.path = abs
	return c, nil
}

// Parse reads a configuration from memory. The name stands in problems for the file's; relative paths are relative to
// dir. Secrets are fetched, and the files named must exist. The error is an [*Error] with every problem found.
func Parse(name string, data []byte, dir string) (*Config, error) {
	c, r := Default(), newReport(name)
	if decode(c, data, r) {
		c.complete()
		c.resolve(dir)
		c.fetch(r)
		c.checkFiles(r)
		c.validate(r)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Validate checks the values of a configuration made in Go as [Parse] checks those of a file. Files are not looked at.
func (c *Config) Validate() error {
	r := newReport("")
	c.validate(r)
	return r.err()
}

// readFile reads a regular file of at most maxFile bytes, never a device or a pipe that could block or go on for ever.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %s", Bytes(maxFile))
	}
	return data, nil
}

// cause strips the operation and the path, which the message around it has.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
