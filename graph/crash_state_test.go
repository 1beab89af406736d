//go:build crashtest

package graph_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// state is all that somebody who uses a store can see of it, apart from times.
type state map[string]string

// observe looks at everything in a store. What it reads is verified on the way.
func observe(t testing.TB, p *place, s *graph.Store) state {
	t.Helper()
	seen, r := make(state), recordsOf(t, s)
	for _, l := range r.Layers {
		seen.layer(t, s, l)
	}
	for _, i := range r.Images {
		seen["image "+string(i.ID)] = fmt.Sprintf("on %q named %q before %q metadata %q", i.TopLayer, i.Names, i.NamesHistory, i.Metadata)
		seen.things(t, p, s, r, i.ID)
	}
	for _, c := range r.Containers {
		seen["container "+string(c.ID)] = fmt.Sprintf("of %q on %q named %q metadata %q", c.Image, c.Layer, c.Names, c.Metadata)
		seen.things(t, p, s, r, c.ID)
	}
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		return tx.Bucket(embedder).Each(nil, func(key, value []byte) error {
			seen["embedder's "+string(key)] = string(value)
			return nil
		})
	}))
	return seen
}

// layer adds what can be seen of a layer. What a diff has been applied to by
// halves is not defined.
func (seen state) layer(t testing.TB, s *graph.Store, l *model.Layer) {
	t.Helper()
	id := string(l.ID)
	seen["layer "+id] = fmt.Sprintf("on %q named %q metadata %q", l.Parent, l.Names, l.Metadata)
	if n := mounted(t, s, id); n > 0 {
		seen["mounts of "+id] = fmt.Sprint(n)
	}
	if l.Incomplete {
		seen["layer "+id] += incomplete
		return
	}
	if l.Damage != "" {
		seen["layer "+id] += " in quarantine"
		return
	}
	path := must(s.Mount(t.Context(), id, graph.MountOptions{ReadOnly: true}))(t)
	seen["files of "+id] = strings.Join(listFiles(t, path), "\n")
	must(s.Unmount(t.Context(), id, false))(t)
	if l.Diff != nil {
		got := sha256Of(plainDiff(t, s, l.ID))
		if got != l.Diff.Digest {
			t.Errorf("the diff of %s has digest %s, its record says %s", id, got, l.Diff.Digest)
		}
		seen["diff of "+id] = string(got)
	}
}

// incomplete is what is seen of a layer to which a diff has been applied by
// halves.
const incomplete = " incomplete"

// listFiles lists what is in a directory, with contents.
func listFiles(t testing.TB, dir string) (lines []string) {
	t.Helper()
	noError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", strings.TrimPrefix(path, dir), info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %s", len(text), sha256Of(text))
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// things adds the data of an object and what is in its directories.
func (seen state) things(t testing.TB, p *place, s *graph.Store, r records, id model.ID) {
	t.Helper()
	of := fmt.Sprintf(" of %s %s", id.Kind(), id)
	for _, item := range r.Data[fmt.Sprintf("%s %s", id.Kind(), id)] {
		seen[fmt.Sprintf("data %q", item.Key)+of] = data(t, s, id, item.Key)
	}
	for name, root := range map[string]string{"directory": p.root, "run directory": p.run} {
		dir := filepath.Join(root, content.UserDir(p.driver, id.Kind(), id.String()))
		if _, err := os.Lstat(dir); err != nil {
			continue
		}
		if files := listFiles(t, dir); len(files) > 0 {
			seen[name+of] = strings.Join(files, "\n")
		}
	}
}

// halfApplied is what is seen when somebody dies while he applies a diff to a
// layer that has content. An empty one gets its content all at once.
func (seen state) halfApplied(id string) (half state, possible bool) {
	if seen["diff of "+id] == "" {
		return nil, false
	}
	half = maps.Clone(seen)
	half["layer "+id] += incomplete
	delete(half, "files of "+id)
	delete(half, "diff of "+id)
	return half, true
}

// checkMounts compares what the store says is mounted with what the kernel
// says. Until Recover has run layers that were deleted may still be mounted.
func (p *place) checkMounts(t testing.TB, s *graph.Store, recovered bool) {
	t.Helper()
	mounts, err := s.Mounts(t.Context())
	noError(t, err)
	kernel, err := mountinfo.GetMounts(mountinfo.PrefixFilter(p.root))
	noError(t, err)
	there := make(map[string]bool)
	for _, m := range kernel {
		there[m.Mountpoint] = true
	}
	for _, m := range mounts {
		if m.Kernel && !there[m.Path] {
			t.Errorf("the kernel does not show the mount of %s at %s", m.Layer, m.Path)
		}
		delete(there, m.Path)
	}
	layers, _ := inventory(t, s)
	for path := range there {
		belongs := slices.ContainsFunc(layers, func(l *model.Layer) bool { return strings.Contains(path, "/"+l.DriverDir()+"/") })
		if belongs || recovered {
			t.Errorf("the kernel shows a mount at %s that no layer has", path)
		}
	}
}
