package testutil

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// guardScript waits until its standard input ends, and then sees to it that
// nothing is mounted at or below the folder that is its argument, and that the
// folder is gone.
const guardScript = `
read -r _
rmdir "$1" || { umount --recursive --lazy "$1"; rmdir "$1"; }`

// guard is a process that cleans up a mount point after this process has died
// without doing so: after a kill, a panic, or the end of its time. It notices
// by a pipe whose other end only this process has.
type guard struct {
	process *exec.Cmd
	pipe    io.Closer
}

// newGuard starts a guard of the given folder. It is in a session of its own,
// so that an interrupt from the terminal does not end it too.
func newGuard(dir string) (*guard, error) {
	process := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	process.Dir = "/"
	pipe, err := process.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard %s: %w", dir, err)
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("guard %s: %w", dir, errors.Join(err, pipe.Close()))
	}
	return &guard{process: process, pipe: pipe}, nil
}

// dismiss makes the guard do its work and waits until it is done.
func (g *guard) dismiss() {
	_ = g.pipe.Close()   // fails if it has ended, and then Wait tells more
	_ = g.process.Wait() // of no interest: rmdir's error is that of umount
}
