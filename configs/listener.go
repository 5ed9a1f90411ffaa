package configs

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// validateListeners judges what the gateway listens on and by which name it is reached.
func (c *Config) validateListeners(r *report) {
	if r.required("public_url", c.PublicURL) {
		if u := r.url("public_url", c.PublicURL, false); u != nil {
			switch {
			case u.Path != "":
				r.add("public_url", "want an origin: no path and no trailing slash")
			case u.Host != strings.ToLower(u.Host):
				r.add("public_url", "want the host in lower case, as clients send it")
			}
		}
	}
	listen, admin := r.listener("listen", c.Listen), r.listener("admin.listen", c.Admin.Listen)
	c.TLS.validate("tls", r)
	r.long("admin.token", c.Admin.Token)
	r.header("admin.token", c.Admin.Token)
	if c.Admin.TLS != nil {
		c.Admin.TLS.validate("admin.tls", r)
	}
	if admin != nil && !loopback(admin.host) && c.Admin.Token.IsSet() && c.Admin.TLS == nil {
		r.add("admin.tls", "required, since admin.listen is not on loopback and admin.token would cross the network in the clear")
	}
	if listen != nil && admin != nil && listen.port != 0 && listen.port == admin.port &&
		(listen.host == admin.host || listen.wild() || admin.wild()) {
		r.add("admin.listen", "the same address as listen")
	}
	for i, p := range c.TrustedProxies {
		switch path := index("trusted_proxies", i); {
		case !p.IsValid():
			r.add(path, "not a network")
		case p.Bits() == 0:
			r.add(path, "trusts every address there is")
		case p.Addr().Is4In6():
			r.add(path, "want an IPv4 network in its own form")
		}
	}
}

// validateCORS judges the origins: each must be what a browser sends, or it would never match.
func (c *Config) validateCORS(r *report) {
	r.list("cors.origins", c.CORS.Origins)
	for i, origin := range c.CORS.Origins {
		path := index("cors.origins", i)
		if origin == "" {
			continue
		}
		u := r.url(path, origin, true)
		switch {
		case u == nil:
		case u.Path != "":
			r.add(path, "want an origin: no path and no trailing slash")
		case u.Host != strings.ToLower(u.Host):
			r.add(path, "want the host in lower case, as browsers send it")
		case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
			r.add(path, "want no default port, as browsers send none")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			r.add(path, "want https: who can change the page on the way can make the app's calls")
		}
	}
}

func (t *TLS) validate(path string, r *report) {
	r.required(path+".certificate", t.Certificate)
	r.required(path+".key", t.Key)
	r.oneOf(path+".min_version", t.MinVersion, "1.3", "1.2")
	r.oneOf(path+".client_auth", t.ClientAuth, "none", "request", "require")
	switch {
	case t.ClientAuth == "none" && t.ClientCA != "":
		r.add(path+".client_ca", `of no effect with client_auth "none"; want "request" or "require" there, or no client_ca`)
	case t.ClientAuth != "none" && t.ClientCA == "":
		r.add(path+".client_ca", "required by client_auth %q", t.ClientAuth)
	}
}

type address struct {
	host string
	port uint64
}

// wild tells whether the address is every interface's.
func (a *address) wild() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "" || err == nil && ip.IsUnspecified()
}

// listener reads an address to listen on; nil where it is none. A host's name is not taken: what it resolves to, and so
// who can reach the gateway, could change between two starts.
func (r *report) listener(path, value string) *address {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		r.add(path, `want "host:port", like "127.0.0.1:8443" or ":8443"`)
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		r.add(path, "want a port from 0 to 65535")
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		r.add(path, `want an IP address, "localhost" or nothing as host`)
		return nil
	}
	return &address{host, n}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// url reads an absolute URL without user, query and fragment; nil where it is none. https, or http where plain allows
// it. What was written is not repeated: it may hold a password.
func (r *report) url(path, value string, plain bool) *url.URL {
	u, err := url.Parse(value)
	if err != nil {
		r.add(path, "not a URL")
		return nil
	}
	_, ipErr := netip.ParseAddr(u.Hostname())
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.Host == "" || !strings.HasPrefix(value, u.Scheme+"://"):
		r.add(path, "want an absolute URL, https://…")
	case u.User != nil:
		r.add(path, "want no user name and password in a URL")
	case strings.ContainsAny(value, "?#"):
		r.add(path, "want no query and no fragment")
	case ipErr != nil && !hostForm.MatchString(u.Hostname()) || strings.Contains(u.Host, "%"):
		r.add(path, "not a host's name or address")
	case u.Port() == "" && strings.HasSuffix(u.Host, ":") || u.Port() != "" && (portErr != nil || port == 0):
		r.add(path, "want a port from 1 to 65535")
	case u.Scheme == "http" && !plain:
		r.add(path, "want https")
	default:
		return u
	}
	return nil
}
