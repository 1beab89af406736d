package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// features are what was found out about the kernel and the file system of the
// home.
type features struct {
	// dType: directory entries tell their type, without which the kernel
	// shows whiteouts.
	dType bool
	// metacopy: a change of metadata alone does not copy the content.
	metacopy bool
	// nativeDiff: upper directories hold changes in a form that can be read.
	nativeDiff bool
	// volatile: mounts without syncs.
	volatile bool
}

// verdict is the answer of a probe. A probe that returns an error could not
// find out, and its answer is not kept.
type verdict struct {
	ok     bool
	reason string // why not
}

func no(reason string, args ...any) (verdict, error) {
	return verdict{reason: fmt.Sprintf(reason, args...)}, nil
}

// probeDir is where probes try things out in the home: what matters is the
// file system that the layers are in. No layer's name begins with a dot.
const probeDir = ".probe"

// probe finds out about all features. The error matches
// model.ErrDriverNotSupported if overlays cannot be mounted.
func (d *Driver) probe(ctx context.Context, cache probeCache) error {
	lab := laboratory{driver: d, cache: cache}
	overlay, err := lab.ask(ctx, "overlay", lab.overlay)
	if errors.Is(err, unix.EROFS) {
		// Layers in a file system that is read-only can be looked at, and
		// nothing can be tried out there.
		return nil
	}
	if err != nil {
		return err
	}
	if !overlay.ok {
		return fmt.Errorf("%w: %s", model.ErrDriverNotSupported, overlay.reason)
	}
	d.features.dType = true
	mountopt := "(" + d.options.mount + ")"
	for _, question := range []struct {
		name   string
		probe  func(context.Context, *at.Dir) (verdict, error)
		answer *bool
	}{
		{"metacopy" + mountopt, lab.metacopy, &d.features.metacopy},
		{"native-diff" + mountopt, lab.nativeDiff, &d.features.nativeDiff},
		{"volatile", lab.volatile, &d.features.volatile},
	} {
		answer, err := lab.ask(ctx, question.name, question.probe)
		if err != nil {
			return err
		}
		*question.answer = answer.ok
	}
	return nil
}

// laboratory runs probes.
type laboratory struct {
	driver *Driver
	cache  probeCache
}

// ask returns the cached answer to a question, or else runs the probe in an
// empty directory and keeps its answer.
func (l *laboratory) ask(ctx context.Context, question string, probe func(context.Context, *at.Dir) (verdict, error)) (verdict, error) {
	if answer, ok := l.cache.load(question); ok {
		return answer, nil
	}
	answer, err := l.run(ctx, probe)
	if err != nil {
		return verdict{}, fmt.Errorf("probing %s: %w", question, err)
	}
	// An answer that cannot be kept is found again the next time.
	_ = l.cache.store(question, answer)
	return answer, nil
}

// run runs a probe. One process at a time does so in a home; what an
// interrupted one has left is removed first.
func (l *laboratory) run(ctx context.Context, probe func(context.Context, *at.Dir) (verdict, error)) (answer verdict, err error) {
	home := l.driver.layers.Dir
	// The lock is on the home itself, so that it is the same whatever the run
	// directory is.
	lock, err := new(flock.Queue).Lock(ctx, flock.Exclusive, func() (*os.File, error) { return os.Open(home.ProcPath()) })
	if err != nil {
		return verdict{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := home.RemoveTree(ctx, probeDir); err != nil {
		return verdict{}, err
	}
	if err := home.Mkdir(probeDir, 0o700, os.Geteuid(), os.Getegid()); err != nil {
		return verdict{}, err
	}
	defer func() { err = errors.Join(err, home.RemoveTree(context.WithoutCancel(ctx), probeDir)) }()
	dir, err := home.Sub(probeDir)
	if err != nil {
		return verdict{}, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return probe(ctx, dir)
}
