package userns

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Attend runs a command to its end, and passes SIGHUP, SIGINT and SIGTERM on to
// it. A terminal sends interrupts to all processes that are in the foreground, the
// command among them, and then it does not get them twice. If started is not nil
// it is called when the command runs; if it fails the command is killed. The end of
// the context keeps a command from being started, and nothing else. The errors
// are those of exec.Cmd.Run, of the context, and of started.
func Attend(ctx context.Context, command *exec.Cmd, started func() error) error {
	signals := make(chan os.Signal, 8) // no more of them matter
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	defer close(signals)
	defer signal.Stop(signals)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		for s := range signals {
			if s != unix.SIGINT || !inForeground() {
				_ = command.Process.Signal(s) // it may have ended
			}
		}
	}()
	if started != nil {
		if err := started(); err != nil {
			err = errors.Join(err, command.Process.Kill())
			_ = command.Wait() // it was killed
			return err
		}
	}
	return command.Wait()
}

// inForeground tells whether the terminal that controls this process, if there
// is one, sends interrupts to it.
func inForeground() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
