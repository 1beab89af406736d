package userns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What the parent tells the child by its environment.
const (
	// waitVariable has the number of a file descriptor. When something can be
	// read from it, the namespace has its IDs.
	waitVariable = "_CSDB_USERNS_WAIT"
	// parentVariable has the ID of the process with which this one is to end.
	parentVariable = "_CSDB_USERNS_PARENT"
)

// errParentGone is why a child has nothing to do any more.
var errParentGone = errors.New("user namespace: the process that asked for it is gone")

// Continue is the first thing that a program does which Program.Run starts. It
// returns at once in a process that is no such child, and otherwise when the
// process is root of its namespace.
func Continue() error {
	if parent, is, err := takeNumber(parentVariable); is {
		return errors.Join(err, endWith(parent))
	}
	ready, is, err := takeNumber(waitVariable)
	if !is || err != nil {
		return err
	}
	if err := await(ready); err != nil {
		return err
	}
	// The first start was that of a process without an ID. This one makes root
	// of it (capabilities(7), "Capabilities and execution of programs by root").
	env := append(os.Environ(), fmt.Sprintf("%s=%d", parentVariable, os.Getppid()))
	return fmt.Errorf("user namespace: %w", unix.Exec("/proc/self/exe", os.Args, env))
}

// takeNumber removes a variable from the environment and returns what it was.
func takeNumber(variable string) (number int, is bool, err error) {
	text, is := os.LookupEnv(variable)
	if !is {
		return 0, false, nil
	}
	number, err = strconv.Atoi(text)
	return number, true, errors.Join(err, os.Unsetenv(variable))
}

// await waits until the parent has written something.
func await(ready int) error {
	file := os.NewFile(uintptr(ready), "user namespace")
	if file == nil {
		return fmt.Errorf("user namespace: descriptor %d: %w", ready, unix.EBADF)
	}
	n, err := file.Read(make([]byte, 1))
	if n == 0 {
		return errors.Join(errParentGone, file.Close())
	}
	return errors.Join(err, file.Close())
}

// endWith makes this process end when the parent does.
func endWith(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if os.Getppid() != parent { // it was faster
		return errParentGone
	}
	return nil
}

// environment returns the environment of the child: what engines want to know of
// a namespace, and where to wait.
func environment(ready int) []string {
	var env []string
	for _, setting := range os.Environ() {
		switch name, _, _ := strings.Cut(setting, "="); name {
		case configuredVariable, uidVariable, gidVariable:
		default:
			env = append(env, setting)
		}
	}
	if _, set := os.LookupEnv(isolationVariable); !set {
		env = append(env, isolationVariable+"=rootless")
	}
	return append(env, configuredVariable+"=done",
		fmt.Sprintf("%s=%d", uidVariable, os.Geteuid()), fmt.Sprintf("%s=%d", gidVariable, os.Getegid()),
		fmt.Sprintf("%s=%d", waitVariable, ready))
}
