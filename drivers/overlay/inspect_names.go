package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// A layer's short name is written down twice: in its file link, and as a
// symbolic link in linkDir. Where the two contradict each other, what else
// there is tells which of them is wrong.

// lookAtNames looks whether the short name that is written down in a layer's
// directory leads to it.
func (i *inspector) lookAtNames(dir *at.Dir, layer drivers.InspectedLayer) ([]drivers.Fault, error) {
	name, err := readLink(dir)
	if errors.Is(err, model.ErrCorrupt) {
		return i.wrongLink(dir, layer.Dir)
	}
	if err != nil {
		return nil, err
	}
	target, leads := i.targets[name]
	if leads && target == layer.Dir {
		return nil, nil
	}
	others := leads
	if leads {
		written, err := i.writtenLink(target)
		if err != nil {
			return nil, err
		}
		others = written == name
	}
	if others || i.names[layer.Dir] != "" {
		return i.wrongLink(dir, layer.Dir)
	}
	return i.wrongName(name, layer.Dir)
}

// wrongName is the fault of a layer to which its short name does not lead.
func (i *inspector) wrongName(name link, id string) (faults []drivers.Fault, err error) {
	i.claimed[name] = true
	found := "nothing"
	if i.links != nil {
		found, err = describe(i.links, string(name))
	}
	return []drivers.Fault{{
		Code: faultName, Path: name.path(), Found: found, Expected: "a symbolic link to " + linkTarget(id),
		Fix: &drivers.Fix{Op: drivers.FixSymlink, Path: name.path(), Text: linkTarget(id)},
	}}, err
}

// wrongLink is the fault of a layer whose file link is wrong. If nothing leads
// to the layer either, its short name is lost.
func (i *inspector) wrongLink(dir *at.Dir, id string) (faults []drivers.Fault, err error) {
	name, known := i.names[id]
	if !known {
		name = spareLink(id)
		if faults, err = i.wrongName(name, id); err != nil {
			return nil, err
		}
	}
	fault := drivers.Fault{
		Code: faultLink, Path: id + "/" + linkFile, Expected: fmt.Sprintf("%q", name),
		Fix: &drivers.Fix{Op: drivers.FixWrite, Path: id + "/" + linkFile, Mode: linkFileMode, Text: string(name)},
	}
	fault.Found, err = describe(dir, linkFile)
	return append(faults, fault), err
}

// lookAtLower looks whether the short names that a layer has for its ancestors
// are theirs.
func (i *inspector) lookAtLower(ctx context.Context, dir *at.Dir, layer drivers.InspectedLayer) (*drivers.Fault, error) {
	names, err := readLower(dir)
	if err == nil {
		right, err := i.areNamesOf(names, layer)
		if err == nil && right {
			return i.lookFurtherDown(ctx, names[len(layer.Below):], layer)
		}
		if err != nil {
			return nil, err
		}
	} else if !errors.Is(err, model.ErrCorrupt) {
		return nil, err
	}
	fault := &drivers.Fault{Code: faultLower, Path: layer.Dir + "/" + lowerFile}
	errExpected := i.expectLower(fault, layer)
	var errFound error
	fault.Found, errFound = describe(dir, lowerFile)
	return fault, errors.Join(errExpected, errFound)
}

// lookFurtherDown looks whether the short names of ancestors of which nothing else
// is known lead to layers.
func (i *inspector) lookFurtherDown(ctx context.Context, names []link, layer drivers.InspectedLayer) (*drivers.Fault, error) {
	lost, err := i.firstLost(ctx, names)
	if err != nil || lost == "" {
		return nil, err
	}
	return &drivers.Fault{
		Code: faultLower, Path: layer.Dir + "/" + lowerFile,
		Expected: "short names of layers", Found: fmt.Sprintf("%s, which leads to none in any of the homes", lost),
	}, nil
}

// areNamesOf tells whether short names are those of the layer's ancestors.
func (i *inspector) areNamesOf(names []link, layer drivers.InspectedLayer) (bool, error) {
	if len(names) < len(layer.Below) || !layer.Cut && len(names) > len(layer.Below) {
		return false, nil
	}
	for n, below := range layer.Below {
		home, err := i.homeOf(below)
		if err != nil {
			return false, err
		}
		if home.targets[names[n]] == below {
			continue
		}
		// What the name leads to may be wrong, which is not this layer's fault.
		written, err := home.writtenLink(below)
		if err != nil {
			return false, err
		}
		if written == "" && home.names[below] == "" {
			written = spareLink(below)
		}
		if written != names[n] {
			return false, nil
		}
	}
	return true, nil
}

// expectLower says what the file lower of a layer should contain, as far as that
// is known.
func (i *inspector) expectLower(fault *drivers.Fault, layer drivers.InspectedLayer) error {
	if len(layer.Below) == 0 {
		fault.Expected = "nothing"
		fault.Fix = &drivers.Fix{Op: drivers.FixAway, Path: fault.Path}
		return nil
	}
	names := make([]link, 0, len(layer.Below))
	for _, below := range layer.Below {
		home, err := i.homeOf(below)
		if err != nil {
			return err
		}
		name, err := home.writtenLink(below)
		if err != nil {
			return err
		}
		if known, ok := home.names[below]; ok && home.targets[name] != below {
			name = known
		}
		if name == "" {
			name = spareLink(below)
		}
		names = append(names, name)
	}
	text := formatLower(names)
	fault.Expected = fmt.Sprintf("%q", text)
	if layer.Cut {
		fault.Expected += " and what follows"
		return nil
	}
	fault.Fix = &drivers.Fix{Op: drivers.FixWrite, Path: fault.Path, Mode: lowerFileMode, Text: text}
	return nil
}

// Modes of the files in which a layer has short names.
const (
	linkFileMode  = 0o644
	lowerFileMode = 0o666
)

// maxShown is how much of a file's content a fault shows, in bytes.
const maxShown = 300

// describe says what there is under a name: the beginning of a file's content,
// or where a symbolic link leads to.
func describe(dir *at.Dir, name string) (string, error) {
	stat, err := dir.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing", nil
	}
	if err != nil {
		return "", err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		text, err := dir.ReadFile(name, maxLower)
		if errors.Is(err, model.ErrCorrupt) {
			return fmt.Sprintf("a file of %d bytes", stat.Size), nil
		}
		if len(text) > maxShown {
			return fmt.Sprintf("%q and %d bytes more", text[:maxShown], len(text)-maxShown), err
		}
		return fmt.Sprintf("%q", text), err
	case unix.S_IFLNK:
		target, err := dir.Readlink(name)
		if len(target) > maxShown {
			target = target[:maxShown]
		}
		return fmt.Sprintf("a symbolic link to %q", target), err
	}
	return drivers.KindOfFile(stat.Mode), nil
}
