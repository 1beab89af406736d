package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

type report struct {
	html, depth string
	force       bool
}

func (p *program) reportCommand() *urfave.Command {
	o := &report{}
	return p.command(urfave.Command{
		Name: "report", Usage: "write a page to look at: layers, space, findings, history",
		Description: `
Writes one HTML file with all that can be seen of the store: what it is, its
layers with the images and containers on them, a map of the space, what a check
has found, and the last transactions. A browser needs nothing but this file; it
loads nothing from anywhere. Only its owner can read it, since it tells what
runs here.

The check is that of "csdb fsck", and so is the exit status; the page is
written whatever it finds. A store that cannot be read any more gives a page
with the findings alone.

Examples:

  csdb report --html /tmp/store.html
  csdb report --html /tmp/store.html --force --depth contents
  csdb --root /mnt/copy report --html copy.html`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "html", Usage: "`FILE` to be written; it must not exist", Destination: &o.html},
			&urfave.StringFlag{Name: "depth", Usage: "`DEPTH` of the check: structure, references or contents", Destination: &o.depth},
			&urfave.BoolFlag{Name: "force", Usage: "replace the file if it exists", DisableDefaultText: true, Destination: &o.force},
		},
	}, arity{0, 0}, o)
}

// reportInfo describes a report that has been written.
type reportInfo struct {
	File    string       `json:"file"`
	Size    int          `json:"size"` // bytes
	Verdict fsck.Verdict `json:"verdict"`
}

func (o *report) run(ctx context.Context, s *session, _ []string) error {
	if o.html == "" {
		return &usageError{command: "report", err: errors.New("--html FILE is missing")}
	}
	path, err := filepath.Abs(o.html)
	if err != nil {
		return err
	}
	// Nobody is to wait for a check whose outcome cannot be written.
	if err := o.mayWrite(path); err != nil {
		return err
	}
	checked, err := s.check(ctx, fsck.Options{
		Depth: fsck.Depth(o.depth), Driver: s.settings.driver, Wait: max(s.settings.timeout, 0),
		Root: s.settings.root, RunRoot: s.settings.runRoot,
	})
	if err != nil {
		return err
	}
	var damaged damages
	content, err := s.page(ctx, checked, &damaged)
	if err != nil {
		return err
	}
	if err := o.write(path, content); err != nil {
		return err
	}
	info := reportInfo{File: path, Size: len(content), Verdict: checked.Verdict}
	if s.json {
		err = s.writeJSON(info)
	} else {
		fmt.Fprintf(s.Stdout, "%s: %s, the store is %s\n", info.File, humanSize(int64(info.Size)), info.Verdict)
	}
	if err != nil {
		return err
	}
	if err := ending(statusOf(checked.Verdict)); err != nil {
		return err
	}
	return damaged.err()
}

// page returns the page.
func (s *session) page(ctx context.Context, checked *fsck.Report, damaged *damages) ([]byte, error) {
	value, err := s.survey(ctx, checked, damaged)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	err = value.Write(&content)
	return content.Bytes(), err
}

// mayWrite refuses a name that is taken.
func (o *report) mayWrite(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !o.force:
		return taken(path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", model.ErrInvalid, path)
	}
	return nil
}

func taken(path string) error {
	return fmt.Errorf("report %s: %w; --force replaces it", path, model.ErrExists)
}

// write makes the file, which is there whole or not at all. Nobody else may
// read it.
func (o *report) write(path string, content []byte) error {
	const mode = 0o600
	if o.force {
		return fsutil.WriteFile(path, content, mode)
	}
	temp := filepath.Join(filepath.Dir(path), fsutil.TempName())
	defer func() { _ = os.Remove(temp) }()
	if err := fsutil.WriteFile(temp, content, mode); err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	// In contrast to a renaming this never replaces anything.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return taken(path)
	} else if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return fsutil.SyncDir(filepath.Dir(path))
}
