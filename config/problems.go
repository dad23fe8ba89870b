package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File string // the file, or the environment variable that put the value there
	Line int    // 0 when there is none
	Path string // as in sources[1].urls[0]; "" for the whole file
	Text string // what is wrong and what to do
}

// String returns "file:line: path: text", leaving out what is not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Text
}

// Error is a configuration that cannot be used, with everything that is wrong with
// it in the order of the file.
type Error struct{ Problems []Problem }

// Error returns the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Problems collects what is wrong with a configuration. The zero value is ready to
// use and knows no lines; [Document.Problems] returns one that does. It is not safe
// for concurrent use.
type Problems struct {
	prefix string
	log    *problemLog // shared by all that In returned
}

type problemLog struct {
	doc  *Document // may be nil
	list []Problem
	// unread are the paths of what was no mapping where one is needed. Nothing
	// below them is missing: it was not looked for.
	unread []string
}

// Add reports a problem of what is at path, which is relative to where p stands:
// "urls[1]", "tls.ca_file", or "" for p's own place. A place that already has a
// problem keeps its first: a value that could not be read is not reported as missing.
func (p *Problems) Add(path, format string, args ...any) {
	p.at(join(p.prefix, path), fmt.Sprintf(format, args...))
}

// In returns a list that reports into p, with path put before each of its paths.
func (p *Problems) In(path string) *Problems {
	p.share()
	return &Problems{prefix: join(p.prefix, path), log: p.log}
}

// Err returns nil, or an *[Error] with everything that was reported to p and to
// those that In returned, in the order of the file.
func (p *Problems) Err() error {
	if p.log == nil || len(p.log.list) == 0 {
		return nil
	}
	list := slices.Clone(p.log.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return &Error{Problems: list}
}

func (p *Problems) share() {
	if p.log == nil {
		p.log = &problemLog{}
	}
}

// at reports a problem under a path from the root of the document.
func (p *Problems) at(path, text string) {
	p.share()
	known := func(q Problem) bool { return q.Path == path && path != "" }
	below := func(unread string) bool {
		rest, ok := strings.CutPrefix(path, unread)
		return ok && rest != "" && strings.ContainsAny(rest[:1], ".[")
	}
	if slices.ContainsFunc(p.log.list, known) || slices.ContainsFunc(p.log.unread, below) {
		return
	}
	found := Problem{Path: path, Text: text}
	if p.log.doc != nil {
		found.File, found.Line = p.log.doc.place(path)
	}
	p.log.list = append(p.log.list, found)
}

// join puts two paths together: "a" and "b" to "a.b", "a" and "[0]" to "a[0]".
func join(a, b string) string {
	if a == "" || b == "" || b[0] == '[' {
		return a + b
	}
	return a + "." + b
}
