package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// demo is one run of the demonstration.
type demo struct {
	bin, dir string
	out      io.Writer

	archives   []archive
	layers     []string // their IDs, base first
	image      string
	containers []string
	mounted    string // where the first container is mounted, or ""
}

// archive is a tar file that becomes a layer.
type archive struct {
	what, path string
	packed     string // path of the compressed form that is imported
	digest     string // of the uncompressed form
	entries    int
	size       int64
}

func (d *demo) root() string { return filepath.Join(d.dir, "root") }
func (d *demo) run() string  { return filepath.Join(d.dir, "run") }

// printf writes to whoever watches.
func (d *demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

// say begins a step.
func (d *demo) say(title, text string) {
	d.printf("\n== %s\n", title)
	if text != "" {
		d.printf("   %s\n", text)
	}
}

// storage runs containers-storage and returns the lines that it prints.
func (d *demo) storage(ctx context.Context, args ...string) ([]string, error) {
	out, err := d.command(ctx, nil, "containers-storage", append([]string{"--graph", d.root(), "--run", d.run()}, args...)...)
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n"), err
}

// csdb runs csdb and shows what it prints.
func (d *demo) csdb(ctx context.Context, args ...string) error {
	_, err := d.command(ctx, d.out, "csdb", append([]string{"--root", d.root(), "--runroot", d.run()}, args...)...)
	return err
}

// ids matches what is too long to read.
var ids = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)

// command shows a command line, without the options that are always the same
// and with IDs as short as the commands take them, and runs it.
func (d *demo) command(ctx context.Context, show io.Writer, name string, args ...string) (string, error) {
	d.printf("   $ %s %s\n", name, ids.ReplaceAllString(strings.Join(args[4:], " "), "$1"))
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, name), args...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if show != nil {
		cmd.Stdout = io.MultiWriter(&out, &indenter{w: show})
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args[4:], " "), err)
	}
	return out.String(), nil
}

// indenter moves lines to the right.
type indenter struct {
	w      io.Writer
	inLine bool
}

func (i *indenter) Write(p []byte) (int, error) {
	for _, line := range bytes.SplitAfter(p, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if !i.inLine {
			line = append([]byte("     "), line...)
		}
		i.inLine = line[len(line)-1] != '\n'
		if _, err := i.w.Write(line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// unmountAll leaves no mount behind, whatever happened.
func (d *demo) unmountAll(ctx context.Context) error {
	if d.mounted == "" {
		return nil
	}
	_, err := d.storage(ctx, "unmount", "--force", d.containers[0])
	d.mounted = ""
	return err
}

// sha256Of asks the machine's own tool, so that the proof does not rest on us.
func sha256Of(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, "sha256sum", path).Output()
	if err != nil {
		return "", fmt.Errorf("sha256sum %s: %w", path, err)
	}
	digest, _, _ := strings.Cut(string(out), " ")
	return digest, nil
}

// one returns the first line, which must be there.
func one(lines []string, err error) (string, error) {
	if err == nil && lines[0] == "" {
		err = errors.New("the command printed nothing")
	}
	return lines[0], err
}
