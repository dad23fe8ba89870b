package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestColor shows that color is for terminals, and for those who want it.
func TestColor(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal bool
		env      []string
		want     bool
	}{
		"a terminal":                {terminal: true, want: true},
		"a file":                    {},
		"NO_COLOR":                  {terminal: true, env: []string{"NO_COLOR=1"}},
		"an empty one says nothing": {terminal: true, env: []string{"NO_COLOR="}, want: true},
		"a dumb terminal":           {terminal: true, env: []string{"TERM=dumb"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := testWorld(t)
			c := newCLI(nil, nil, nil, append(tc.env, "ROLLCALL_URL="+w.server.URL, "ROLLCALL_TOKEN="+w.key))
			c.now = clock
			out := &sink{}
			if tc.terminal {
				out = openTerminal(t)
			}
			c.stdout, c.stderr = out.w(), out.w()
			if code := c.run(t.Context(), []string{"why", "ann", "GOVERNANCE"}); code != exitOK {
				t.Fatalf("exit code %d", code)
			}
			text := out.text(t)
			if got := strings.Contains(text, "\x1b[32myes\x1b[0m"); got != tc.want || !strings.Contains(text, "yes") {
				t.Errorf("why = %q, colored %v, want %v", text, got, tc.want)
			}
		})
	}
}

// TestProgressOnATerminal shows one line that is written over and then gone.
func TestProgressOnATerminal(t *testing.T) {
	w := testWorld(t)
	out := openTerminal(t)
	var stdout bytes.Buffer
	c := newCLI(nil, &stdout, out.w(), []string{"ROLLCALL_URL=" + w.server.URL, "ROLLCALL_TOKEN=" + w.key})
	c.now = clock
	if code := c.run(t.Context(), []string{"sync", "run", "corp"}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	text := out.text(t)
	if strings.Contains(text, "\n") || strings.Count(text, "\r\x1b[K") != 3 || !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("progress = %q, want two lines over each other that are cleared", text)
	}
	if strings.Contains(stdout.String(), "\x1b") || !strings.HasPrefix(stdout.String(), "Run ") {
		t.Errorf("stdout = %q, want the outcome without color: it is no terminal", stdout.String())
	}
}

// sink takes output, as a file or as a terminal.
type sink struct {
	bytes.Buffer
	terminal *os.File // the side that programs write to
	screen   *os.File
}

func (s *sink) w() io.Writer {
	if s.terminal != nil {
		return s.terminal
	}
	return s
}

// openTerminal opens a pseudo-terminal that does not change what is written.
func openTerminal(t *testing.T) *sink {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("open a pseudo-terminal (mount devpts on /dev/pts): %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	state, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	state.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, state); err != nil {
		t.Fatal(err)
	}
	return &sink{terminal: slave, screen: master}
}

// text returns what was written.
func (s *sink) text(t *testing.T) string {
	t.Helper()
	if s.terminal == nil {
		return s.String()
	}
	const end = "\x00"
	if _, err := s.terminal.WriteString(end); err != nil {
		t.Fatal(err)
	}
	var all []byte
	b := make([]byte, 4096)
	for !bytes.HasSuffix(all, []byte(end)) {
		n, err := s.screen.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b[:n]...)
	}
	return strings.TrimSuffix(string(all), end)
}
