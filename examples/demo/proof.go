package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// compareBytes writes the diffs out again and compares them with what went in.
func (d *demo) compareBytes(ctx context.Context) error {
	d.say("7. The same bytes out", "Each layer's diff is written out again, from its files, and compared with what went in.")
	for i, a := range d.archives {
		out := a.path + ".out"
		if _, err := d.storage(ctx, "diff", "--uncompressed", "--file", out, d.layers[i]); err != nil {
			return err
		}
		digest, err := sha256Of(ctx, out)
		if err != nil {
			return err
		}
		d.printf("     in  %s  %s\n     out %s  %s\n", a.digest, a.what, digest, a.what)
		if digest != a.digest {
			return fmt.Errorf("%s came out otherwise than it went in", a.what)
		}
		if err := os.Remove(out); err != nil {
			return err
		}
	}
	return nil
}

// copyContainer moves what the container has changed into a new layer, and
// compares the changes.
func (d *demo) copyContainer(ctx context.Context) error {
	d.say("8. A container becomes a layer", "The container's diff goes into a new layer on the same image, which then differs from it in the same files.")
	layer, err := d.layerOf(ctx, "one")
	if err != nil {
		return err
	}
	diff := filepath.Join(d.dir, "container.tar.gz")
	if _, err := d.storage(ctx, "diff", "--gzip", "--file", diff, layer); err != nil {
		return err
	}
	copied, err := one(d.storage(ctx, "import-layer", "--file", diff, d.layers[len(d.layers)-1]))
	if err != nil {
		return err
	}
	d.layers = append(d.layers, copied)
	before, err := d.storage(ctx, "changes", "--json", layer)
	if err != nil {
		return err
	}
	after, err := d.storage(ctx, "changes", "--json", copied)
	if err != nil {
		return err
	}
	if before[0] != after[0] {
		return fmt.Errorf("the copy differs from the container: %s and %s", before[0], after[0])
	}
	d.printf("     the changes are the same\n")
	return nil
}

// check lets csdb look for anything that is wrong, while the container is
// mounted.
func (d *demo) check(ctx context.Context) error {
	d.say("9. Is everything in order?", "fsck compares every record, index, content file and layer directory.")
	if err := d.unmountAll(ctx); err != nil {
		return err
	}
	return d.csdb(ctx, "fsck")
}

// deleteAll deletes everything and looks whether anything is left.
func (d *demo) deleteAll(ctx context.Context) error {
	d.say("10. Nothing is left", "Deleting the containers, the image and the extra layer frees everything.")
	if _, err := d.storage(ctx, append([]string{"delete-container"}, d.containers...)...); err != nil {
		return err
	}
	if _, err := d.storage(ctx, "delete-layer", d.layers[len(d.layers)-1]); err != nil {
		return err
	}
	if _, err := d.storage(ctx, "delete-image", d.image); err != nil {
		return err
	}
	if err := errors.Join(d.csdb(ctx, "du"), d.csdb(ctx, "fsck")); err != nil {
		return err
	}
	if _, err := d.storage(ctx, "shutdown"); err != nil {
		return err
	}
	return d.leftovers()
}

// leftovers lists all files in the root: only the database and its locks may
// be there.
func (d *demo) leftovers() error {
	var names []string
	err := filepath.WalkDir(d.root(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		names = append(names, filepath.Base(path))
		return nil
	})
	if err != nil {
		return err
	}
	d.printf("   files in the store: %s\n", strings.Join(names, " "))
	for _, name := range names {
		if !strings.HasPrefix(name, "csdb.") {
			return fmt.Errorf("%s is left over", name)
		}
	}
	return nil
}
