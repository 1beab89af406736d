package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/containers/storage"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// childFlag makes this program do one thing in a process of its own.
const childFlag = "-child"

// job is what a child does.
type job struct {
	Peer bool   // with containers/storage
	Do   string // "lookup", "apply" or "diff"
	Dir  string // of the store
	Arg  string // name of an image, path of an archive, ID of a layer
}

// cost is what a process took.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // bytes at the most, of the process or the largest of its children
	output    string
}

// spawn runs a job in a fresh process.
func spawn(ctx context.Context, j job) (cost, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return cost{}, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", childFlag, string(text)) //nolint:gosec // It is this program.
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	answer, errRead := io.ReadAll(out)
	if err := errors.Join(errRead, cmd.Wait()); err != nil {
		return cost{}, fmt.Errorf("%+v: %w", j, err)
	}
	c := cost{wall: time.Since(start), output: string(answer)}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("no resource usage of the child")
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.rss = usage.Maxrss << 10
	return c, nil
}

// runChild does a job and prints what came of it.
func runChild(args []string) int {
	var j job
	err := json.Unmarshal([]byte(args[0]), &j)
	if err == nil {
		work := ours
		if j.Peer {
			work = peer
		}
		err = work(context.Background(), j)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// ours does a job with csdb.
func ours(ctx context.Context, j job) (err error) {
	store, err := openOurs(ctx, j.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	switch j.Do {
	case "lookup":
		image, err := store.Image(ctx, j.Arg)
		if err != nil {
			return err
		}
		fmt.Print(image.ID)
	case "apply":
		f, err := os.Open(j.Arg)
		if err != nil {
			return err
		}
		l, err := store.ImportLayer(ctx, graph.LayerSpec{}, f)
		if err != nil {
			return err
		}
		fmt.Print(l.ID)
		return f.Close()
	case "diff":
		l, err := store.Layer(ctx, j.Arg)
		if err != nil {
			return err
		}
		r, err := store.Diff(ctx, l.ID, graph.DiffOptions{Compression: new(model.Uncompressed)})
		return drain(r, err)
	}
	return nil
}

// peer does a job with containers/storage.
func peer(_ context.Context, j job) error {
	store, err := openPeer(j.Dir)
	if err != nil {
		return err
	}
	switch j.Do {
	case "lookup":
		image, err := store.Image(j.Arg)
		if err != nil {
			return err
		}
		fmt.Print(image.ID)
	case "apply":
		f, err := os.Open(j.Arg)
		if err != nil {
			return err
		}
		l, _, err := store.PutLayer("", "", nil, "", false, nil, f)
		if err != nil {
			return err
		}
		fmt.Print(l.ID)
		return f.Close()
	case "diff":
		none := storageUncompressed
		r, err := store.Diff("", j.Arg, &storage.DiffOptions{Compression: &none})
		return drain(r, err)
	}
	return nil
}

func drain(r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// syncFS makes everything on the file system durable, so that one measurement
// does not pay for another.
func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
