package probe

import (
	"fmt"
	"strings"
	"time"
)

func wireChecks() []Check {
	return []Check{
		{Name: "wire/cl-te", Attack: "request smuggling: CL.TE",
			Sentence: "A length that covers a second request and chunks that end before it: one answer at most, and the connection is not used again.",
			Advice:   "Refuse a request with both Content-Length and Transfer-Encoding, and close the connection.", do: clTE},
		{Name: "wire/te-cl", Attack: "request smuggling: TE.CL",
			Sentence: "Chunks that cover a second request and a length that ends before it: one answer at most.",
			Advice:   "Refuse a request with both Content-Length and Transfer-Encoding, and close the connection.", do: teCL},
		{Name: "wire/te-te", Attack: "request smuggling: obscured Transfer-Encoding and Content-Length",
			Sentence: "Transfer-Encoding and Content-Length doubled, misspelt, signed, spaced and listed: one answer at most.",
			Advice:   "Refuse a request whose length is not beyond doubt.", do: teTE},
		{Name: "wire/get-body", Attack: "request smuggling: a body on a GET",
			Sentence: "A GET with a body that is a second request: one answer at most.",
			Advice:   "Read or refuse the body of every request, and close the connection where it was not read.", do: getBody},
		{Name: "wire/obs-fold", Attack: "request smuggling: obs-fold",
			Sentence: "Header lines that go on in the next, among them a folded Transfer-Encoding: refused, or one answer.",
			Advice:   "Refuse folded header lines (RFC 9112, section 5.2).", do: obsFold},
		{Name: "wire/bare-lf", Attack: "request smuggling: bare LF",
			Sentence: "Lines that end in LF or CR alone, hiding a header, a second request or the end of a chunk: one answer at most.",
			Advice:   "Refuse bare LF and CR in headers and in chunk lines.", do: bareLF},
		{Name: "wire/large-header", Attack: "oversized headers",
			Sentence: "A header of a megabyte, ten thousand headers, a URL of 256 KB: refused without a failure of the server.",
			Advice:   "Bound the header's size, below a few ten kilobytes.", do: largeHeader},
		{Name: "wire/large-body", Attack: "oversized bodies",
			Sentence: "Bodies of 12 MB, with a length and in chunks, for a search and a batch: refused without a failure of the server.",
			Advice:   "Bound the body before it is read, with 413.", do: largeBody},
		{Name: "wire/slow-header", Attack: "slow headers",
			Sentence: "A request whose header comes a byte at a time: cut in time.",
			Advice:   "Bound the time that a header may take.", do: func(a *attempt) { a.slowed("header") }},
		{Name: "wire/slow-body", Attack: "slow bodies",
			Sentence: "A request whose body comes a byte at a time: cut or refused in time.",
			Advice:   "Bound the time that a body may take.", do: func(a *attempt) { a.slowed("body") }},
		{Name: "wire/h2-resets", Attack: "HTTP/2 resets",
			Sentence: "A few hundred HTTP/2 streams, each reset at once: the gateway ends the connection or bears it, and answers others in time.",
			Advice:   "Bound the streams under way and those reset, per connection.", do: resets},
		{Name: "wire/no-store", Attack: "answers kept in caches",
			Sentence: "Answers with patient data say Cache-Control: no-store (or private, no-cache).",
			Advice:   "Send Cache-Control: no-store with every answer.", do: noStore},
		{Name: "wire/failure", Attack: "requests at which the server fails",
			Sentence: "All of the requests before: none was answered with 500.",
			Advice:   "Refuse by a decision: an error that nobody expected may have done half of its work.",
			do: func(a *attempt) {
				for _, what := range a.target.failures {
					a.fail("500: %s", what)
				}
				a.note("%d requests", a.target.sent)
			}},
	}
}

// smuggled is a request that hides in another: if it is answered, the hiding worked.
func (a *attempt) smuggled() string {
	return fmt.Sprintf("GET %s/metadata HTTP/1.1\r\nHost: %s\r\nX-Smuggled: yes\r\n\r\n", a.target.base.Path, a.target.base.Host)
}

// single fails where what is one request at most gets two answers.
func (a *attempt) single(what, text string) {
	got := a.converse(text, 2)
	if len(got) > 1 {
		a.fail("%s: two answers, %s and %s", what, got[0].says(), got[1].says())
	}
}

// searchHead is the head of a POST _search without what tells its length.
func (a *attempt) searchHead(lines ...string) string {
	return fmt.Sprintf("POST %s/Appointment/_search HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\n%s", a.target.base.Path, a.target.base.Host, a.credentials(), formType, strings.Join(append(lines, ""), "\r\n"))
}

func clTE(a *attempt) {
	hidden := a.smuggled()
	for _, body := range []string{"0\r\n\r\n" + hidden, "8\r\n_count=1\r\n0\r\n\r\n" + hidden} {
		length := fmt.Sprintf("Content-Length: %d", len(body))
		a.single("length and chunks", a.searchHead(length, "Transfer-Encoding: chunked")+"\r\n"+body)
		a.single("chunks and length", a.searchHead("Transfer-Encoding: chunked", length)+"\r\n"+body)
		a.single("length and chunks in HTTP/1.0", strings.Replace(a.searchHead(length, "Transfer-Encoding: chunked")+"\r\n"+body, "HTTP/1.1", "HTTP/1.0", 1))
	}
}

func teCL(a *attempt) {
	hidden := a.smuggled()
	body := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	a.single("chunks and a short length", a.searchHead("Content-Length: 4", "Transfer-Encoding: chunked")+"\r\n"+body)
	a.single("chunks and no length", a.searchHead("Content-Length: 0", "Transfer-Encoding: chunked")+"\r\n"+body)
}

func teTE(a *attempt) {
	hidden := a.smuggled()
	body := "0\r\n\r\n" + hidden
	length := fmt.Sprintf("Content-Length: %d", len(body))
	for _, line := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: \"chunked\"",
		"X: y\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "transfer-encoding: CHUNKED", "Transfer_Encoding: chunked", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length: 0x5",
	} {
		a.single(shorten(line), a.searchHead(length, line)+"\r\n"+body)
	}
	a.single("two lengths", a.searchHead("Content-Length: 8", fmt.Sprintf("Content-Length: %d", 8+len(hidden)))+"\r\n_count=1"+hidden)
	a.single("a chunk of negative length", a.searchHead("Transfer-Encoding: chunked")+"\r\n-1\r\n"+hidden)
	a.single("a chunk of a length that overflows", a.searchHead("Transfer-Encoding: chunked")+"\r\n10000000000000000\r\n"+hidden)
}

func getBody(a *attempt) {
	hidden := a.smuggled()
	get := fmt.Sprintf("GET %s/Appointment?_count=1 HTTP/1.1\r\nHost: %s\r\n%s", a.target.base.Path, a.target.base.Host, a.credentials())
	a.single("a GET with a body", fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", get, len(hidden), hidden))
	a.single("a GET with chunks", fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", get, len(hidden), hidden))
	a.single("a GET with both", fmt.Sprintf("%sContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", get, 5+len(hidden), hidden))
}

func obsFold(a *attempt) {
	hidden := a.smuggled()
	body := "0\r\n\r\n" + hidden
	length := fmt.Sprintf("Content-Length: %d", len(body))
	for _, line := range []string{"X-Folded: a\r\n Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked", "X-Folded: a\r\n b", " Transfer-Encoding: chunked"} {
		a.single("folded "+shorten(line), a.searchHead(length, line)+"\r\n"+body)
	}
	got := a.rawGet("/Appointment?_count=1", "Authorization: Bearer\r\n "+string(a.o.Token)+"\r\n")
	if got.allowed() {
		a.note("a folded Authorization line is read as one")
	}
	a.single("folded before the first line", strings.Replace(a.searchHead(length), "Host:", " folded\r\nHost:", 1)+"\r\n"+body)
}

func bareLF(a *attempt) {
	hidden := a.smuggled()
	body := "0\r\n\r\n" + hidden
	length := fmt.Sprintf("Content-Length: %d", len(body))
	for _, line := range []string{"X: a\nTransfer-Encoding: chunked", "X: a\rTransfer-Encoding: chunked", "X: a\r\r\nTransfer-Encoding: chunked"} {
		a.single("hidden by a bare line end", a.searchHead(length, line)+"\r\n"+body)
	}
	// LF may end a line (RFC 9112, section 2.2), so that what stands behind it is believed; in a chunk
	// it may not.
	a.single("LF ends a chunk's line", a.searchHead("Transfer-Encoding: chunked")+"\r\n8;\n_count=1\r\n0\r\n\r\n")
	a.single("LF in a chunk extension", a.searchHead("Transfer-Encoding: chunked")+fmt.Sprintf("\r\n2;\nxx\r\n%x\r\n0\r\n\r\n%s\r\n0\r\n\r\n", 5+len(hidden), hidden))
}

func largeHeader(a *attempt) {
	head := fmt.Sprintf("GET %s/Appointment?_count=1%%s HTTP/1.1\r\nHost: %s\r\n%s%%sConnection: close\r\n\r\n", a.target.base.Path, a.target.base.Host, strings.ReplaceAll(a.credentials(), "%", "%%"))
	for what, text := range map[string]string{
		"a header of 1 MB":           fmt.Sprintf(head, "", "X-Large: "+strings.Repeat("a", 1<<20)+"\r\n"),
		"20,000 headers":             fmt.Sprintf(head, "", strings.Repeat("X-Many: a\r\n", 20_000)),
		"a URL of 256 KB":            fmt.Sprintf(head, "&x="+strings.Repeat("a", 256<<10), ""),
		"a header name of 300 KB":    fmt.Sprintf(head, "", strings.Repeat("x", 300<<10)+": a\r\n"),
		"a token of 300 KB":          fmt.Sprintf(head, "", "Authorization: Bearer "+strings.Repeat("a", 300<<10)+"\r\n"),
		"5,000 parameters in a URL":  fmt.Sprintf(head, strings.Repeat("&status=booked", 5000), ""),
		"a value of 30,000 commas":   fmt.Sprintf(head, "&status="+strings.Repeat(",", 30_000), ""),
		"a path of 60,000 segments":  strings.Replace(fmt.Sprintf(head, "", ""), "/Appointment", strings.Repeat("/Appointment", 5000), 1),
		"an Accept of 20,000 ranges": fmt.Sprintf(head, "", "Accept: "+strings.Repeat("a/b,", 20_000)+"a/b\r\n"),
	} {
		a.withstood(what, a.converse(text, 1)[0])
	}
}

// withstood fails where what is too large was taken, or the server failed at it.
func (a *attempt) withstood(what string, got answer) {
	switch {
	case got.allowed():
		a.fail("%s was taken: %s", what, got.says())
	case isLate(got.err):
		a.fail("%s was worked on for more than %v", what, a.o.Timeout)
	case got.status >= 500 && got.status != 501 && got.status != 503:
		a.fail("%s made the server fail: %d", what, got.status)
	}
}

func largeBody(a *attempt) {
	const size = 12 << 20
	form := "_count=1&status=" + strings.Repeat("b", size)
	a.withstood("a search of 12 MB", a.converse(a.searchHead(fmt.Sprintf("Content-Length: %d", len(form)), "Connection: close")+"\r\n"+form, 1)[0])
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(form), form)
	a.withstood("a search of 12 MB in chunks", a.converse(a.searchHead("Transfer-Encoding: chunked", "Connection: close")+"\r\n"+chunked, 1)[0])
	bundle := `{"resourceType":"Bundle","type":"batch","implicitRules":"` + strings.Repeat("b", size) + `","entry":[{"request":{"method":"GET","url":"Location?_count=1"}}]}`
	text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", a.target.base.Path, a.target.base.Host, a.credentials(), fhirType, len(bundle), bundle)
	a.withstood("a batch of 12 MB", a.converse(text, 1)[0])
	deep := strings.Repeat(`{"resourceType":"Parameters","parameter":[`, 20_000)
	text = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", a.target.base.Path, a.target.base.Host, a.credentials(), fhirType, len(deep), deep)
	a.withstood("a body of 20,000 levels", a.converse(text, 1)[0])
}

func noStore(a *attempt) {
	for _, s := range a.plain {
		a.remember(s)
		c := s.header.Get("Cache-Control")
		if !strings.Contains(c, "no-store") && !(strings.Contains(c, "private") && strings.Contains(c, "no-cache")) {
			a.fail("an answer may be kept by caches (Cache-Control %q): %s", shorten(c), s.what)
			return
		}
	}
}

// slowed fails where a slow client was still borne at the end.
func (a *attempt) slowed(part string) {
	took, answered, ok := a.slow.wait(part)
	if !ok {
		a.fail("after %v, a %s that came a byte at a time was still waited for", a.o.Slow, part)
		return
	}
	a.note("%s after %v", answered, took.Round(100*time.Millisecond))
}
