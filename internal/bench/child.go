package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// childArg makes this program one of its own children.
const childArg = "child"

// request is what a child is told to do, one a line.
type request struct {
	Do        string     `json:"do"`
	Directory *directory `json:"directory,omitempty"`
	Dir       string     `json:"dir,omitempty"`      // of an embedded store
	Endpoint  string     `json:"endpoint,omitempty"` // of an external one
	File      string     `json:"file,omitempty"`     // of a recording
	Key       string     `json:"key,omitempty"`      // of an application
	Users     []person   `json:"users,omitempty"`    // to be asked about
	Count     int        `json:"count,omitzero"`     // how large a population grows, or how often
	Prove     bool       `json:"prove,omitzero"`     // compare everything
}

// reply is what a child answers. Which of its fields are set depends on the request.
type reply struct {
	Err     string   `json:"err,omitzero"`
	Took    float64  `json:"took,omitzero"`  // seconds
	CPU     float64  `json:"cpu,omitzero"`   // seconds of all cores during the request
	Ready   float64  `json:"ready,omitzero"` // seconds, of opening the store
	Address string   `json:"address,omitzero"`
	Count   int      `json:"count,omitzero"`
	Allocs  float64  `json:"allocs,omitzero"` // each
	Yes     float64  `json:"yes,omitzero"`    // share
	Written tally    `json:"written,omitzero"`
	Stages  string   `json:"stages,omitzero"`
	Idle    int      `json:"idle,omitzero"`    // kB resident before
	RSS     int      `json:"rss,omitzero"`     // kB resident now
	Settled int      `json:"settled,omitzero"` // kB, garbage given back
	Peak    int      `json:"peak,omitzero"`    // kB
	Heap    int      `json:"heap,omitzero"`    // bytes live
	Key     string   `json:"key,omitzero"`
	Users   []person `json:"users,omitempty"`
	Rates   []rates  `json:"rates,omitempty"`
	Lines   []line   `json:"lines,omitempty"`
}

// child is a process that measures something. It ends when its standard input does.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a child; env is added to its environment.
func start(env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, childArg)} //nolint:gosec,noctx // it is this program, and ends with its input
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// once starts a child for one request.
func once(ctx context.Context, r request) (reply, error) {
	c, err := start()
	if err != nil {
		return reply{}, err
	}
	a, err := c.call(ctx, r)
	return a, errors.Join(err, c.stop())
}

// call sends a request and waits for the answer.
func (c *child) call(ctx context.Context, r request) (reply, error) {
	defer context.AfterFunc(ctx, func() { _ = c.in.Close() })()
	var a reply
	b, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if _, err := c.in.Write(append(b, '\n')); err != nil {
		return a, fmt.Errorf("%s: %w", r.Do, because(ctx, err))
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("%s: the process ended: %w", r.Do, because(ctx, err))
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, fmt.Errorf("%s: %s", r.Do, a.Err)
	}
	return a, nil
}

func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// stop ends the child in good order. There may be none.
func (c *child) stop() error {
	if c == nil {
		return nil
	}
	_ = c.in.Close()
	late := time.AfterFunc(30*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	return c.cmd.Wait()
}

// serve is a child's life: it answers requests until its input ends, which also ends
// what it is doing.
func serve(in io.Reader, out io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := make(chan []byte)
	go func() {
		defer cancel()
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- append([]byte(nil), s.Bytes()...)
		}
	}()
	w := &worker{}
	for line := range lines {
		var r request
		err := json.Unmarshal(line, &r)
		var a reply
		if err == nil {
			before := processor()
			a, err = w.do(ctx, r)
			a.CPU = processor() - before
		}
		if err != nil {
			a.Err = err.Error()
		}
		b, err := json.Marshal(a)
		if err != nil {
			return 1
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			break
		}
	}
	if err := w.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// processor returns how many seconds this process has used.
func processor() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
