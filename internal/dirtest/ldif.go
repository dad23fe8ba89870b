package dirtest

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// Entry is one entry of a dump: attribute names as the server spells them, options
// included, values as they are.
type Entry struct {
	DN         string
	Attributes map[string][]string
}

// Get returns the values of an attribute, whatever the case of its name.
func (e *Entry) Get(name string) []string {
	for k, v := range e.Attributes {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

// First returns the first value of an attribute, or "".
func (e *Entry) First(name string) string {
	if v := e.Get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// ParseLDIF reads content records with unwrapped lines (RFC 2849), as ldapsearch
// writes them.
func ParseLDIF(r io.Reader) ([]Entry, error) {
	var out []Entry
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\n")
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok || line[0] == '#':
		default:
			if encoded, is64 := strings.CutPrefix(value, ":"); is64 {
				b, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
				if err != nil {
					return nil, fmt.Errorf("LDIF line %.80q: %w", line, err)
				}
				value = string(b)
			} else {
				value = strings.TrimPrefix(value, " ")
			}
			switch {
			case name == "dn":
				out = append(out, Entry{DN: value, Attributes: map[string][]string{}})
			case len(out) > 0:
				e := &out[len(out)-1]
				e.Attributes[name] = append(e.Attributes[name], value)
			}
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// LDIF writes one attribute and value as a line, encoded where it must be.
func LDIF(w io.Writer, name, value string) {
	safe := value == "" || !strings.ContainsAny(value[:1], " :<") && value[len(value)-1] != ' '
	for i := range len(value) {
		safe = safe && value[i] >= ' ' && value[i] < 0x7f
	}
	if safe {
		_, _ = io.WriteString(w, name+": "+value+"\n")
		return
	}
	_, _ = io.WriteString(w, name+":: "+base64.StdEncoding.EncodeToString([]byte(value))+"\n")
}

// buffered writes to a file through a buffer and closes it.
func buffered(file *os.File, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(file, 1<<20)
	err := write(w)
	if flushErr := w.Flush(); err == nil {
		err = flushErr
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// WriteFile writes a file below a test's own directory and returns its path.
func WriteFile(tb testing.TB, name, text string) string {
	tb.Helper()
	path := tb.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
