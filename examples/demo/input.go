package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// makeArchives packs two trees of this machine: that of Go, which is large,
// and /etc, which has every kind of small file.
func (d *demo) makeArchives(ctx context.Context) error {
	d.say("1. The input", "Two trees of this machine are packed by its own tar: the Go tree and /etc. Nothing is downloaded.")
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	goroot := strings.TrimSpace(string(out))
	d.archives = []archive{
		{what: "the Go tree", path: filepath.Join(d.dir, "go.tar"), packed: filepath.Join(d.dir, "go.tar.zst")},
		{what: "/etc", path: filepath.Join(d.dir, "etc.tar"), packed: filepath.Join(d.dir, "etc.tar.gz")},
	}
	if err := pack(ctx, d.archives[0].path, filepath.Dir(goroot), filepath.Base(goroot)); err != nil {
		return err
	}
	if err := pack(ctx, d.archives[1].path, "/", "etc"); err != nil {
		return err
	}
	for i := range d.archives {
		if err := d.prepare(ctx, &d.archives[i]); err != nil {
			return err
		}
	}
	return nil
}

// pack packs a tree. What this user may not read is left out, and without
// privileges everything in the archive belongs to this user, because nothing
// else could be unpacked.
func pack(ctx context.Context, path, dir, name string) error {
	args := []string{"--create", "--file", path, "--sort=name", "--numeric-owner", "--ignore-failed-read", "--directory", dir}
	if os.Geteuid() != 0 {
		args = append(args, "--owner="+strconv.Itoa(os.Geteuid()), "--group="+strconv.Itoa(os.Getegid()))
	}
	cmd := exec.CommandContext(ctx, "tar", append(args, name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tar of %s: %w: %s", filepath.Join(dir, name), err, out)
	}
	return nil
}

// prepare measures and compresses an archive.
func (d *demo) prepare(ctx context.Context, a *archive) error {
	list, err := exec.CommandContext(ctx, "tar", "--list", "--file", a.path).Output()
	if err != nil {
		return fmt.Errorf("tar --list %s: %w", a.path, err)
	}
	a.entries = strings.Count(string(list), "\n")
	info, err := os.Stat(a.path)
	if err != nil {
		return err
	}
	a.size = info.Size()
	if a.digest, err = sha256Of(ctx, a.path); err != nil {
		return err
	}
	d.printf("   %-12s %6d entries, %8s, sha256 %s...\n", a.what, a.entries, units.HumanSize(float64(a.size)), a.digest[:16])
	return a.compress(ctx)
}

// compress makes the form that is imported, with whatever tool there is.
func (a *archive) compress(ctx context.Context) error {
	tool := []string{"gzip", "-1", "-c", a.path}
	if strings.HasSuffix(a.packed, ".zst") {
		if _, err := exec.LookPath("zstd"); err == nil {
			tool = []string{"zstd", "-q", "-3", "-c", a.path}
		} else {
			a.packed = a.path
			return nil
		}
	}
	out, err := os.Create(a.packed)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool[0], tool[1:]...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		_ = out.Close()
		return fmt.Errorf("%s: %w", tool[0], err)
	}
	return out.Close()
}
