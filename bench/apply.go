package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/containers/storage/pkg/archive"
)

const storageUncompressed = archive.Uncompressed

// benchApply measures how a root file system goes into a store and out again.
func benchApply(ctx context.Context, b *bench) error {
	archives, err := rootFileSystem(ctx, b)
	if err != nil {
		return err
	}
	for _, a := range archives {
		progress("%s", filepath.Base(a))
		if err := b.applyAndDiff(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// applyAndDiff imports an archive with both, in turn, and writes the diff out.
func (b *bench) applyAndDiff(ctx context.Context, archive string) error {
	best := map[string]cost{}
	for range 3 {
		for _, peer := range []bool{false, true} {
			in, out, err := b.oneRound(ctx, archive, peer)
			if err != nil {
				return err
			}
			for what, c := range map[string]cost{"in": in, "out": out} {
				key := fmt.Sprint(what, peer)
				if old, found := best[key]; !found || c.wall < old.wall {
					c.rss = max(c.rss, old.rss)
					best[key] = c
				} else {
					old.rss = max(c.rss, old.rss)
					best[key] = old
				}
			}
		}
	}
	name := filepath.Base(archive)
	ourIn, peerIn, ourOut, peerOut := best["infalse"], best["intrue"], best["outfalse"], best["outtrue"]
	const mib = 1 << 20
	b.report.add("apply", "import "+name+", durable", ourIn.wall.Seconds(), "containers/storage, not durable", peerIn.wall.Seconds(), "s", 1)
	b.report.add("apply", "import "+name+", peak memory", float64(ourIn.rss)/mib, "containers/storage", float64(peerIn.rss)/mib, "MiB", 1)
	b.report.add("apply", "diff of "+name, ourOut.wall.Seconds(), "containers/storage", peerOut.wall.Seconds(), "s", 0)
	b.report.add("apply", "diff of "+name+", peak memory", float64(ourOut.rss)/mib, "55 MiB", 55, "MiB", 1)
	return nil
}

// oneRound imports an archive into a new store in a fresh process, and reads
// the diff in another one.
func (b *bench) oneRound(ctx context.Context, archive string, peer bool) (in, out cost, err error) {
	dir, err := b.sub(fmt.Sprintf("apply-%v", peer))
	if err != nil {
		return in, out, err
	}
	if err := syncFS(b.dir); err != nil {
		return in, out, err
	}
	if in, err = spawn(ctx, job{Peer: peer, Do: "apply", Dir: dir, Arg: archive}); err != nil {
		return in, out, err
	}
	if err := syncFS(b.dir); err != nil {
		return in, out, err
	}
	out, err = spawn(ctx, job{Peer: peer, Do: "diff", Dir: dir, Arg: in.output})
	return in, out, err
}

// rootFileSystem packs a root file system: a minimal Debian if debootstrap can
// make one, and the Go tree on top so that it is a large one.
func rootFileSystem(ctx context.Context, b *bench) ([]string, error) {
	dir, err := b.sub("input")
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "bookworm", tree).CombinedOutput(); err != nil {
		progress("without Debian: %v: %s", err, lastLine(out))
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	tarball := filepath.Join(dir, "rootfs.tar")
	for _, command := range []string{
		fmt.Sprintf("mkdir -p %[1]s/usr/local && cp -a %[2]s %[1]s/usr/local/go", tree, strings.TrimSpace(string(goroot))),
		fmt.Sprintf("tar --create --sort=name --numeric-owner --file %s --directory %s .", tarball, tree),
		fmt.Sprintf("gzip -6 -k %[1]s & zstd -q -3 -k %[1]s; wait", tarball),
		"rm -rf " + tree,
	} {
		if out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil { //nolint:gosec // The paths are our own.
			return nil, fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	runtime.GC()
	return []string{tarball, tarball + ".gz", tarball + ".zst"}, nil
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
