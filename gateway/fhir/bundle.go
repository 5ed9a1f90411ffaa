package fhir

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// bundle reads the body of a POST to the base: a batch or a transaction (http.html,
// section 3.1.0.11). Each entry becomes the request that it stands for and goes
// through Parse like any other. In a batch an entry that is refused leaves the
// others; a transaction is refused with it.
func (p *parser) bundle(m Message) *Error {
	r := &p.request
	members, ok := object(r.Input)
	kind, _ := text(members["type"])
	if !ok || resourceType(members) != "Bundle" || kind != string(Batch) && kind != string(Transaction) ||
		!only(members, "resourceType", "id", "meta", "language", "type", "identifier", "timestamp", "entry") {
		return &Error{Kind: MalformedBody}
	}
	r.Interaction = Interaction(kind)
	if members["entry"] == nil {
		return nil
	}
	entries, ok := list(members["entry"])
	if !ok {
		return &Error{Kind: MalformedBody}
	}
	if len(entries) > p.limits.Entries {
		return &Error{Kind: TooLarge}
	}
	header := map[string][]string{"Prefer": values(m.Header, "Prefer")}
	r.Entries = make([]Entry, len(entries))
	for i, raw := range entries {
		entry := p.limits.entry(raw, header)
		if entry.Err == nil && entry.overlaps(r.Entries[:i], r.Interaction) {
			entry = Entry{Method: entry.Method, FullURL: entry.FullURL, Err: &Error{
				Kind: MalformedBody, Interaction: entry.Request.Interaction, Type: entry.Request.Type,
			}}
		}
		if entry.Err != nil && r.Interaction == Transaction {
			e := *entry.Err
			e.Entry = i + 1
			return &e
		}
		r.Entries[i] = entry
	}
	return nil
}

// overlaps reports whether an entry contradicts an earlier one: by the same
// fullUrl (bundle.html, invariant bdl-7), or, in a transaction, by a write to the
// same resource, which the entries' order would decide (http.html, section
// 3.1.0.11.2).
func (e Entry) overlaps(earlier []Entry, is Interaction) bool {
	return slices.ContainsFunc(earlier, func(o Entry) bool {
		if e.FullURL != "" && o.FullURL == e.FullURL {
			return true
		}
		return is == Transaction && e.Request.ID != "" && e.Request.Interaction.Writes() && o.Request.Interaction.Writes() &&
			o.Request.Type == e.Request.Type && o.Request.ID == e.Request.ID
	})
}

// entry reads one entry.
func (l Limits) entry(raw json.RawMessage, header map[string][]string) Entry {
	malformed := &Error{Kind: MalformedBody}
	members, ok := object(raw)
	if !ok || !only(members, "id", "fullUrl", "resource", "request") {
		return Entry{Err: malformed}
	}
	var e Entry
	if members["fullUrl"] != nil {
		if e.FullURL, ok = text(members["fullUrl"]); !ok || !named(e.FullURL) {
			return Entry{Err: malformed}
		}
	}
	m, ok := stated(members, header)
	e.Method = m.Method
	if !ok {
		e.Err = malformed
		return e
	}
	switch t, _ := locate(m.Path); {
	case t.kind == atMetadata:
		e.Err = &Error{Kind: UnsupportedInteraction, Interaction: Capabilities}
	case t.kind == atBase && m.Method == "POST": // before its own entries are read
		e.Err = &Error{Kind: UnsupportedInteraction, Interaction: Batch}
	default:
		e.Request, e.Err = parse(m, l)
	}
	if e.Err == nil && !e.consistent() {
		e.Err = &Error{Kind: BodyMismatch, Interaction: e.Request.Interaction, Type: e.Request.Type}
		e.Request = nil
	}
	return e
}

// consistent reports whether an absolute fullUrl names the resource that the
// entry is about (bundle.html, section 2.36.4). What has no id yet has a URN: an
// address could be that of another resource, to which other entries refer.
func (e Entry) consistent() bool {
	to, ok := ParsePointer(e.FullURL)
	return e.FullURL == "" || strings.HasPrefix(e.FullURL, "urn:") ||
		ok && to.ID != "" && to.Type == e.Request.Type && to.ID == e.Request.ID
}

// stated is the message that an entry stands for; where it reports false, no
// more than the method is sure. The URL is relative to the base: nothing stands
// before it but what we put there, so no scheme, no authority and no root can be
// said.
func stated(entry map[string]json.RawMessage, header map[string][]string) (Message, bool) {
	request, ok := object(entry["request"])
	if !ok || !only(request, "id", "method", "url", "ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist") {
		return Message{}, false
	}
	method, _ := text(request["method"])
	if !slices.Contains(verbs, method) {
		return Message{}, false
	}
	m := Message{Method: method, Header: map[string][]string{"Prefer": header["Prefer"]}}
	url, ok := text(request["url"])
	if !ok || url[0] == '/' || strings.ContainsAny(url, "#\\") {
		return m, false
	}
	m.Path, m.Query, _ = strings.Cut(url, "?")
	if strings.Contains(m.Path, ":") {
		return m, false
	}
	if m.Path != "" {
		m.Path = "/" + m.Path
	}
	for member, name := range map[string]string{
		"ifNoneMatch": "If-None-Match", "ifModifiedSince": "If-Modified-Since", "ifMatch": "If-Match", "ifNoneExist": "If-None-Exist",
	} {
		if request[member] == nil {
			continue
		}
		value, ok := text(request[member])
		if !ok {
			return m, false
		}
		m.Header[name] = []string{value}
	}
	if entry["resource"] == nil {
		return m, true
	}
	m.Body, m.Header["Content-Type"] = entry["resource"], []string{fhirJSON}
	if m.Method == "PATCH" {
		return m, m.carried(entry["resource"])
	}
	return m, true
}

// verbs are those of FHIR's code system http-verb.
var verbs = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}

// carried takes the patch out of the Binary that carries it in a batch
// (http.html, section 3.1.0.6.1).
func (m *Message) carried(resource json.RawMessage) bool {
	binary, ok := object(resource)
	if !ok || resourceType(binary) != "Binary" || !only(binary, "resourceType", "id", "meta", "contentType", "data") {
		return false
	}
	media, typed := text(binary["contentType"])
	data, filled := text(binary["data"])
	plain, err := base64.StdEncoding.Strict().DecodeString(data)
	m.Body, m.Header["Content-Type"] = plain, []string{media}
	return typed && filled && err == nil
}

// only reports whether an object has no members but these. What it has besides
// may mean something: implicitRules and modifierExtension change what a resource
// says, and the entry of a request has no response.
func only(members map[string]json.RawMessage, names ...string) bool {
	for name := range members {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// named reports whether s can be a fullUrl: a URN, or an absolute URL
// (bundle.html, section 2.36.4).
func named(s string) bool {
	rest, ok := s, false
	for _, prefix := range [...]string{"urn:uuid:", "urn:oid:", "https://", "http://"} {
		if rest, ok = strings.CutPrefix(s, prefix); ok {
			break
		}
	}
	return ok && rest != "" && strings.IndexFunc(rest, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"<>\^{}|`+"`", c) }) < 0
}
