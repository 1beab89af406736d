package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/internal/userns"
)

// Env is what surrounds a command. Tests bring their own.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv looks up environment variables.
	Getenv func(string) string
	// Now is the clock.
	Now func() time.Time
	// Host is what the configuration depends on. Without LookupEnv, Getenv is
	// asked, and a variable that is empty counts as one that is not set. The
	// zero value has no file.
	Host config.Host
	// User is what the process may do. The zero value is root.
	User userns.State
}

// ConfigHost returns Host, which can always be asked for variables.
func (e Env) ConfigHost() config.Host {
	host := e.Host
	if host.LookupEnv == nil {
		host.LookupEnv = func(name string) (string, bool) {
			value := e.Getenv(name)
			return value, value != ""
		}
	}
	return host
}

// System returns the surroundings of the process.
func System() Env {
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now,
		User: userns.StateOf(os.Getenv),
		Host: config.Host{
			LookupEnv: os.LookupEnv, UID: os.Geteuid(), SystemFiles: config.SystemFiles(), RunDirs: config.RunDirs,
		},
	}
}

// Run runs a command with the arguments of the process, its own name first, and
// returns its exit status. The first signal that asks the process to end ends
// the context; the second one ends the process.
func Run(run func(ctx context.Context, env Env, args []string) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, System(), os.Args)
}
