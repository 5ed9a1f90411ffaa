package configs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// What a path in the configuration names.
type fileKind uint8

const (
	publicFile fileKind = iota // read; anybody may read it
	keyFile                    // read; others on the machine must not
	readDir                    // read, with everything below it
	writeDir                   // written by the gateway, made if missing
	writeFile                  // the same, a file
)

// eachFile visits every path that the configuration names, those of secrets excepted.
func (c *Config) eachFile(visit func(path string, file *string, kind fileKind)) {
	tls := func(path string, t *TLS) {
		visit(path+".certificate", &t.Certificate, publicFile)
		visit(path+".key", &t.Key, keyFile)
		visit(path+".client_ca", &t.ClientCA, publicFile)
	}
	tls("tls", &c.TLS)
	if c.Admin.TLS != nil {
		tls("admin.tls", c.Admin.TLS)
	}
	for i := range c.EHRs {
		e, at := &c.EHRs[i], index("ehrs", i)
		visit(at+".ca", &e.CA, publicFile)
		visit(at+".certificate", &e.Certificate, publicFile)
		visit(at+".key", &e.Key, keyFile)
		if e.OAuth == nil {
			continue
		}
		visit(at+".oauth.ca", &e.OAuth.CA, publicFile)
		for j := range e.OAuth.Keys {
			visit(index(at+".oauth.keys", j), &e.OAuth.Keys[j], keyFile)
		}
	}
	for i := range c.Issuers {
		visit(index("issuers", i)+".ca", &c.Issuers[i].CA, publicFile)
		visit(index("issuers", i)+".keys_file", &c.Issuers[i].KeysFile, publicFile)
		visit(index("issuers", i)+".metadata_file", &c.Issuers[i].MetadataFile, publicFile)
	}
	visit("policy.bundle", &c.Policy.Bundle, bundleKind(c.Policy.Bundle))
	visit("policy.shadow", &c.Policy.Shadow, bundleKind(c.Policy.Shadow))
	if s := c.Policy.Server; s != nil {
		visit("policy.server.certificate", &s.Certificate, publicFile)
		visit("policy.server.key", &s.Key, keyFile)
		visit("policy.server.ca", &s.CA, publicFile)
	}
	if s := c.Policy.Signing; s != nil {
		for i := range s.Keys {
			visit(index("policy.signing.keys", i)+".file", &s.Keys[i].File, publicFile)
		}
	}
	visit("policy.persist", &c.Policy.Persist, writeDir)
	visit("admin.switches", &c.Admin.Switches, writeFile)
	visit("vault.dir", &c.Vault.Dir, writeDir)
	visit("access_log.dir", &c.AccessLog.Dir, writeDir)
	for i := range c.AccessLog.Witnesses {
		visit(index("access_log.witnesses", i)+".ca", &c.AccessLog.Witnesses[i].CA, publicFile)
	}
	for i := range c.Sinks {
		s, at := &c.Sinks[i], index("sinks", i)
		visit(at+".ca", &s.CA, publicFile)
		visit(at+".certificate", &s.Certificate, publicFile)
		visit(at+".key", &s.Key, keyFile)
	}
}

// eachSecret visits every secret of the configuration.
func (c *Config) eachSecret(visit func(path string, s *Secret)) {
	visit("admin.token", &c.Admin.Token)
	for i := range c.EHRs {
		visit(index("ehrs", i)+".bearer", &c.EHRs[i].Bearer)
		if o := c.EHRs[i].OAuth; o != nil {
			visit(index("ehrs", i)+".oauth.client_secret", &o.ClientSecret)
		}
	}
	for i := range c.Issuers {
		if n, at := c.Issuers[i].Introspection, index("issuers", i)+".introspection"; n != nil {
			visit(at+".client_secret", &n.ClientSecret)
			visit(at+".private_key", &n.PrivateKey)
		}
	}
	if s := c.Policy.Server; s != nil {
		visit("policy.server.bearer", &s.Bearer)
	}
	visit("vault.keyset", &c.Vault.Keyset)
	visit("access_log.signing_key", &c.AccessLog.SigningKey)
	visit("access_log.retiring_key", &c.AccessLog.RetiringKey)
	visit("access_log.patient_key", &c.AccessLog.PatientKey)
	for i := range c.Sinks {
		visit(index("sinks", i)+".bearer", &c.Sinks[i].Bearer)
		visit(index("sinks", i)+".password", &c.Sinks[i].Password)
	}
}

// complete fills in what depends on the rest of the document, and drops a base URL's trailing slash.
func (c *Config) complete() {
	for i := range c.EHRs {
		e := &c.EHRs[i]
		e.BaseURL = strings.TrimSuffix(e.BaseURL, "/")
		if e.OAuth != nil && len(e.OAuth.Keys) > 0 && e.OAuth.JWKSPath == "" {
			e.OAuth.JWKSPath = e.Path + jwksDefault
		}
		for j := range e.Aliases {
			e.Aliases[j] = strings.TrimSuffix(e.Aliases[j], "/")
		}
	}
	if len(c.Issuers) != 1 {
		return
	}
	for i := range c.Clients {
		if c.Clients[i].Issuer == "" {
			c.Clients[i].Issuer = c.Issuers[0].URL
		}
	}
}

// resolve makes every path absolute, relative ones below dir.
func (c *Config) resolve(dir string) {
	c.eachFile(func(_ string, file *string, _ fileKind) {
		if *file != "" {
			*file = below(dir, *file)
		}
	})
	c.eachSecret(func(_ string, s *Secret) {
		if file, ok := strings.CutPrefix(s.reference, "file:"); ok && file != "" {
			s.reference = "file:" + below(dir, file)
		}
	})
}

func below(dir, file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(dir, file)
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fetch gets every secret that is referred to. What does not have the form of a reference is perhaps the secret itself,
// and is not repeated.
func (c *Config) fetch(r *report) {
	c.eachSecret(func(path string, s *Secret) {
		if r.wrong[path] || s.reference == "" && r.lines[path] == 0 {
			return
		}
		scheme, name, _ := strings.Cut(s.reference, ":")
		var value []byte
		switch {
		case scheme == "env" && envName.MatchString(name):
			text, ok := os.LookupEnv(name)
			if !ok {
				r.add(path, "the environment variable %s is not set", name)
				return
			}
			value = []byte(text)
		case scheme == "file" && name != "":
			if !r.private(path, name) {
				return
			}
			data, err := readFile(name)
			if err != nil {
				r.add(path, "%s: %s", name, err)
				return
			}
			value = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
		default:
			*s = Secret{}
			r.add(path, "want env:NAME or file:PATH; a secret is never written in the configuration itself")
			return
		}
		if len(value) == 0 {
			r.add(path, "%s is empty", s.reference)
			return
		}
		s.set(value)
	})
}

// private tells whether a file exists and is not open to everyone on the machine, and reports where it is not so. A
// group may read it: that is how an orchestrator hands a secret to a process that does not own it.
func (r *report) private(path, file string) bool {
	info, err := os.Stat(file)
	if err != nil {
		r.add(path, "%s: %s", file, cause(err))
		return false
	}
	if mode := info.Mode(); runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&0o007 != 0 {
		r.add(path, "%s: mode %04o lets everyone on this machine at it; want 0600 or 0640", file, mode.Perm())
		return false
	}
	return true
}

// checkFiles reports paths that are not what they should be: a missing file, a folder in a file's place.
func (c *Config) checkFiles(r *report) {
	c.eachFile(func(path string, file *string, kind fileKind) {
		if *file == "" {
			return
		}
		info, err := os.Stat(*file)
		switch {
		case err != nil && (kind == writeDir || kind == writeFile) && os.IsNotExist(err):
		case err != nil:
			r.add(path, "%s: %s", *file, cause(err))
		case kind == readDir || kind == writeDir:
			if !info.IsDir() {
				r.add(path, "%s: not a folder", *file)
			}
		case !info.Mode().IsRegular():
			r.add(path, "%s: not a regular file", *file)
		case kind == keyFile:
			r.private(path, *file)
		}
	})
}

// Files returns what the configuration was made from and depends on, absolute: its own file, certificates, keys,
// authorities, secrets' files, and the policy bundle's folder. They are what a [Watcher] should watch. The folders that the
// gateway writes to are not among them, nor are environment variables.
func (c *Config) Files() []string {
	var files []string
	if c.path != "" {
		files = append(files, c.path)
	}
	c.eachFile(func(_ string, file *string, kind fileKind) {
		if *file != "" && kind != writeDir && kind != writeFile {
			files = append(files, *file)
		}
	})
	c.eachSecret(func(_ string, s *Secret) {
		if file, ok := strings.CutPrefix(s.reference, "file:"); ok {
			files = append(files, file)
		}
	})
	slices.Sort(files)
	return slices.Compact(files)
}
