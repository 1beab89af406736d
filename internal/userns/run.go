package userns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Program is this program, to be run in a user namespace.
type Program struct {
	// Args are those of the process, the program's own name first.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Warn is told what makes the namespace less than it could be.
	Warn func(text string)
}

// Run starts the program in new user and mount namespaces and returns the exit
// status: 128 and the number of the signal if one has ended it. In the namespace
// the program is root, and also knows the subordinate IDs of the user. Signals are
// passed on to it, see Attend; it does not outlive this process. The error says
// why it could not be started; it matches model.ErrUnsupported if that is for lack
// of a namespace, and then nothing has happened.
func (p Program) Run(ctx context.Context) (status int, err error) {
	// The child ends with the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ready, release, err := wakeup()
	if err != nil {
		return 0, err
	}
	defer release.Close()

	child := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe")
	child.Args, child.Env = p.Args, environment(ready)
	child.Stdin, child.Stdout, child.Stderr = p.Stdin, p.Stdout, p.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL,
	}
	err = Attend(ctx, child, func() error {
		err := unix.Close(ready)
		for _, s := range sides() {
			err = errors.Join(err, s.give(ctx, child.Process.Pid, p.Warn))
		}
		if err == nil {
			_, err = release.Write([]byte{0})
		}
		return err
	})
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", model.ErrUnsupported, err)
		}
		return 0, fmt.Errorf("user namespace: %w", err)
	}
	return exitStatus(child.ProcessState), nil
}

// wakeup returns a pipe. The end to read from is inherited by programs, under a
// number that none of what this one has inherited bears.
func wakeup() (ready int, release *os.File, err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return 0, nil, err
	}
	ready, err = unix.FcntlInt(out.Fd(), unix.F_DUPFD, 0)
	if err = errors.Join(err, out.Close()); err != nil {
		return 0, nil, errors.Join(err, in.Close())
	}
	return ready, in, nil
}

// exitStatus returns how a process has ended in the way of shells.
func exitStatus(state *os.ProcessState) int {
	const bySignal = 128
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return bySignal + int(status.Signal())
	}
	return state.ExitCode()
}
