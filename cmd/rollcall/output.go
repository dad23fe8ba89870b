package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// format is how data is written.
type format string

// The formats.
const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
)

func (c *cli) chooseFormat() error {
	f := format(cmp.Or(string(c.output), c.env("ROLLCALL_OUTPUT"), string(asTable)))
	if !slices.Contains([]format{asTable, asJSON, asYAML}, f) {
		return usage("-o %s: choose table, json or yaml", f)
	}
	c.output = f
	return nil
}

// show writes data to stdout: as JSON or YAML with the names of the API, or as the
// text that table writes.
func (c *cli) show(data any, table func(io.Writer)) error {
	var b bytes.Buffer
	switch c.output {
	case asJSON:
		if err := json.MarshalWrite(&b, data, json.Deterministic(true), jsontext.WithIndent("  ")); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		b.WriteByte('\n')
	case asYAML:
		if err := writeYAML(&b, data); err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
	default:
		table(&b)
	}
	_, err := c.stdout.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// note writes a sentence for people to stderr.
func (c *cli) note(format string, args ...any) {
	fmt.Fprintln(c.stderr, printable(fmt.Sprintf(format, args...)))
}

// printable keeps what a directory or a server says from moving the cursor of a
// terminal or pretending to be a line of its own. It takes one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// color is a code of ANSI X3.64.
type color int

// The colors.
const (
	bold   color = 1
	red    color = 31
	green  color = 32
	yellow color = 33
)

// paint colors text for people: only where stdout and stderr are terminals, and not
// when NO_COLOR says otherwise (no-color.org).
func (c *cli) paint(with color, text string) string {
	if text == "" || !c.colored() {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", with, text)
}

func (c *cli) colored() bool {
	if c.env("NO_COLOR") != "" || c.env("TERM") == "dumb" {
		return false
	}
	return isTerminal(c.stdout) && isTerminal(c.stderr)
}
