// Command bench compares csdb with containers/storage side by side: every
// figure comes with the one that it is to be compared with, from the same run
// on the same file system, and the report says their ratio.
//
//	CGO_ENABLED=0 go run . [-case NAME] [-layers 10000] [-images 10000] [-repeat 50] [-dir DIR] [-json]
//
// README.md says what is measured, and which goals there are. It needs root for a file system of its own, a journalled ext4 on a loop
// device: what a sync costs depends on the journal. With -dir it uses the
// directory as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containers/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

// options say what to measure.
type options struct {
	layers, images int
	only           string
	dir            string
	asJSON         bool
	repeat         int
}

func main() {
	// containers/storage runs its helpers as this program under other names.
	if reexec.Init() {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == childFlag {
		os.Exit(runChild(os.Args[2:]))
	}
	var o options
	flag.IntVar(&o.layers, "layers", 10_000, "number of layers in a full store")
	flag.IntVar(&o.images, "images", 10_000, "number of images in a full store")
	flag.IntVar(&o.repeat, "repeat", 50, "number of repetitions of short operations")
	flag.StringVar(&o.only, "case", "", "run only the cases whose names begin with this")
	flag.StringVar(&o.dir, "dir", "", "directory to work in, instead of a new file system")
	flag.BoolVar(&o.asJSON, "json", false, "write the report as JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// benchCase measures one thing in several ways.
type benchCase struct {
	name string
	run  func(context.Context, *bench) error
}

var cases = []benchCase{
	{"create", benchCreate},
	{"lookup", benchLookup},
	{"apply", benchApply},
	{"mount", benchMount},
}

// bench is one run.
type bench struct {
	options
	dir    string
	report report
}

func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, dir: o.dir}
	if b.dir == "" {
		fs, errMake := newFileSystem(ctx)
		if errMake != nil {
			return errMake
		}
		defer func() { err = errors.Join(err, fs.remove()) }()
		b.dir = fs.mountPoint
	}
	b.report.describe(b.dir)
	for _, c := range cases {
		if !strings.HasPrefix(c.name, o.only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", c.name)
		if err := c.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if o.asJSON {
		return json.NewEncoder(os.Stdout).Encode(b.report)
	}
	b.report.print(os.Stdout)
	return nil
}

// sub returns a new directory for one store.
func (b *bench) sub(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	// containers/storage leaves a mount behind when a process ends.
	if err := unix.Unmount(filepath.Join(dir, "root", "overlay"), unix.MNT_DETACH); err != nil &&
		!errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return "", fmt.Errorf("umount: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}
