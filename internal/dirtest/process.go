package dirtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// process is a server in a process group of its own.
type process struct {
	cmd     *exec.Cmd
	out     *bytes.Buffer
	done    chan struct{} // closed when it has ended
	guard   *exec.Cmd
	release io.WriteCloser
}

// startProcess starts a server that stays in the foreground. A second, tiny process
// ends it should this one die without a word.
func startProcess(env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), out: &bytes.Buffer{}, done: make(chan struct{})} //nolint:noctx // it ends with stop
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	// The pipe closes when this process ends, however it ends; a line means all is well.
	p.guard = exec.Command("/bin/sh", "-c", `read -r _ || kill -s KILL -- "-$0"`, strconv.Itoa(p.cmd.Process.Pid)) //nolint:noctx // it ends with stop
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.release, err = p.guard.StdinPipe(); err == nil {
		err = p.guard.Start()
	}
	if err != nil {
		p.signal(syscall.SIGKILL)
		<-p.done
		return nil, fmt.Errorf("guard %s: %w", name, err)
	}
	return p, nil
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the group in good order, or else by force.
func (p *process) stop(s syscall.Signal) {
	p.signal(s)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
	}
	p.signal(syscall.SIGKILL) // what is left of the group
	<-p.done
	_, _ = io.WriteString(p.release, "\n")
	_ = p.release.Close()
	_ = p.guard.Wait()
}

// await waits until something accepts connections at the address.
func (p *process) await(network, address string) error {
	deadline := time.Now().Add(60 * time.Second)
	for !p.ended() && time.Now().Before(deadline) {
		c, err := net.DialTimeout(network, address, time.Second) //nolint:noctx // bounded
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not answer at %s:\n%s", p.cmd.Path, address, p.out)
}

// freePorts returns n ports that nobody listens on just now.
func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	ports, err := tryPorts(n)
	if err != nil {
		tb.Fatal(err)
	}
	return ports
}

// tryPorts looks below the ports that systems give to outgoing connections: a server
// that restarts must find its port as it left it.
func tryPorts(n int) ([]int, error) {
	const from, to, tries = 10_000, 32_768, 1000
	ports := make([]int, 0, n)
	var last error
	for range tries {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", from+rand.IntN(to-from))) //nolint:noctx // at once
		if err != nil {
			last = err
			continue
		}
		// All stay open until the last is found, so that no two are the same.
		defer func() { _ = l.Close() }()
		if ports = append(ports, l.Addr().(*net.TCPAddr).Port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("%d ports are not to be had: %w", n, last)
}

// find returns the path of a program, or an error with the command that installs it.
func find(name, install string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: %s", name, install)
}

func run(ctx context.Context, stdin io.Reader, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, tail(errs.Bytes()))
	}
	return out.Bytes(), nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }
