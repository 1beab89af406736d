// Command demo shows the main job of csdb on real files: a root file system goes
// in, an image is made of it, containers run on top, and the same bytes come
// out again. `make demo` builds the two commands and runs it.
//
// It drives containers-storage and csdb the way a person would, and uses the
// library for what needs a transaction. Run as root it uses overlay, else vfs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the commands containers-storage and csdb")
	dir := flag.String("dir", "", "directory to work in; a temporary one is made, and removed, if it is empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *dir, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, dir string, out io.Writer) (err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("/var/tmp", "csdb-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := &demo{bin: bin, dir: dir, out: out}
	defer func() { err = errors.Join(err, d.unmountAll(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{
		d.makeArchives, d.importLayers, d.makeImage, d.makeContainers, d.changeContainer,
		d.look, d.compareBytes, d.copyContainer, d.check, d.deleteAll,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.printf("\nDone. Everything above was checked on the way; a difference would have ended the demo with an error.\n")
	return nil
}
