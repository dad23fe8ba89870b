package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// peerUID asks the kernel for the user of the process at the other end.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, fmt.Errorf("ask for the other end's user: %w", failed)
	}
	return int(cred.Uid), nil
}

// maxSocketPath is how long the path of a socket may be (unix(7)).
const maxSocketPath = 107

// short returns a path by which the kernel takes a socket whose own is too long for
// it. It is good while the directory that comes with it, if any, is open.
func short(path string) (string, *os.File, error) {
	if len(path) <= maxSocketPath {
		return path, nil, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), dir, nil
}
