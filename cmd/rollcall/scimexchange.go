package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// exchange is a request that was recorded and the answer to it, as docs/scim-replay.md
// has them in a file.
type exchange struct {
	line   int    // where it begins in the file
	title  string // what stands after ###
	method string
	path   string // below the source, with the query
	header http.Header
	body   string

	status  int // of the recorded answer; 0: none was recorded
	expects string
}

// maxExchanges is how much a file of exchanges may hold.
const maxExchanges = 32 << 20

// readExchanges reads a file of exchanges.
func readExchanges(r io.Reader, file string) ([]exchange, error) {
	var all []exchange
	p := &exchangeParser{file: file}
	lines := bufio.NewScanner(io.LimitReader(r, maxExchanges))
	lines.Buffer(nil, maxExchanges)
	for lines.Scan() {
		p.line++
		text := strings.TrimSuffix(lines.Text(), "\r")
		if title, ok := strings.CutPrefix(text, "###"); ok {
			all = p.end(all)
			p.title = strings.TrimSpace(title)
			continue
		}
		if err := p.take(text); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, usage("read %s: %v", file, err)
	}
	if all = p.end(all); len(all) == 0 {
		return nil, usage("%s holds no request: docs/scim-replay.md has the format", file)
	}
	return all, nil
}

// exchangeParser is what is known of the exchange that is being read.
type exchangeParser struct {
	file  string
	line  int
	title string
	now   *exchange
	part  part
	text  strings.Builder // of a body
}

// part is where in an exchange a line stands.
type part int

const (
	beforeRequest part = iota
	requestHeader
	requestBody
	answerHeader
	answerBody
)

// end finishes the exchange that was being read.
func (p *exchangeParser) end(all []exchange) []exchange {
	p.endBody()
	if p.now != nil {
		all = append(all, *p.now)
	}
	p.now, p.part, p.title = nil, beforeRequest, ""
	return all
}

func (p *exchangeParser) endBody() {
	text := strings.TrimSpace(p.text.String())
	p.text.Reset()
	switch p.part {
	case requestBody:
		p.now.body = text
	case answerBody:
		p.now.expects = text
	}
}

func (p *exchangeParser) take(text string) error {
	if p.now != nil && p.part < answerHeader && strings.HasPrefix(text, "HTTP/") {
		p.endBody()
		p.part = answerHeader
		return p.statusLine(text)
	}
	switch p.part {
	case beforeRequest:
		if text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") {
			return nil
		}
		p.part = requestHeader
		return p.requestLine(text)
	case requestHeader, answerHeader:
		if text == "" {
			p.part++
			return nil
		}
		return p.headerLine(text)
	}
	p.text.WriteString(text)
	p.text.WriteByte('\n')
	return nil
}

func (p *exchangeParser) wrong(format string, args ...any) error {
	return usage("%s:%d: %s (docs/scim-replay.md has the format)", p.file, p.line, fmt.Sprintf(format, args...))
}

var pushMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

func (p *exchangeParser) requestLine(text string) error {
	f := strings.Fields(text)
	if len(f) < 2 || len(f) > 3 || !slices.Contains(pushMethods, f[0]) {
		return p.wrong("%q is no request line, as in: GET /Users?count=10", text)
	}
	u, err := url.Parse(f[1])
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return p.wrong("%q is no path, as in: /Users/2819c223", f[1])
	}
	path := belowSource(u.EscapedPath())
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	p.now = &exchange{line: p.line, title: p.title, method: f[0], path: path, header: http.Header{}}
	return nil
}

// belowSource takes what stands before the resources away from a path, in whatever
// server it was recorded.
func belowSource(path string) string {
	parts := strings.Split(path, "/")
	for i, s := range parts {
		if slices.ContainsFunc([]string{"Users", "Groups", "Me", "Bulk", "Schemas", "ResourceTypes", "ServiceProviderConfig", ".search"}, func(e string) bool {
			return strings.EqualFold(e, s)
		}) {
			return "/" + strings.Join(parts[i:], "/")
		}
	}
	if rest, ok := strings.CutPrefix(path, "/scim/v2/"); ok {
		_, rest, _ = strings.Cut(rest, "/")
		return "/" + rest
	}
	return path
}

// ofTheWay are headers that say how a request came, and not what it asks for. The
// token of a recording is neither needed nor sent.
var ofTheWay = []string{"Authorization", "Host", "Content-Length", "Connection", "Accept-Encoding", "Transfer-Encoding", "X-Request-Id"}

func (p *exchangeParser) headerLine(text string) error {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return p.wrong("%q is no header; a body begins after an empty line", text)
	}
	name = http.CanonicalHeaderKey(name)
	if p.part == requestHeader && !slices.Contains(ofTheWay, name) {
		p.now.header.Add(name, strings.TrimSpace(value))
	}
	return nil
}

func (p *exchangeParser) statusLine(text string) error {
	f := strings.Fields(text)
	status := 0
	if len(f) > 1 {
		status, _ = strconv.Atoi(f[1])
	}
	if status < 100 || status > 599 {
		return p.wrong("%q is no status line, as in: HTTP/1.1 201 Created", text)
	}
	p.now.status = status
	return nil
}
