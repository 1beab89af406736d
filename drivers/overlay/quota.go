package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/drivers/internal/project"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Quotas are project quotas of the file system that the home is in. A writable
// layer that has one gets a project of its own, which the directories have that
// a mount writes to: diff and work. That the directories have it is the only
// record of it, and the file system keeps the limits.

// quota is how much a writable layer may take.
type quota struct {
	project.Limits
	// wanted tells whether an option speaks of it. Without limits the layer's
	// usage is counted, where that is possible, and nothing else.
	wanted bool
}

// Options that set a quota, for all layers or for one.
const (
	sizeOption   = "size"
	inodesOption = "inodes"
)

// set reads one of the options. An empty value says nothing.
func (q *quota) set(key, value string) (err error) {
	if value == "" {
		return nil
	}
	q.wanted = true
	var limit uint64
	switch key {
	case sizeOption:
		var size int64
		if size, err = units.RAMInBytes(value); err == nil && size < 0 {
			err = strconv.ErrRange
		}
		limit = uint64(max(size, 0))
		q.Bytes = limit
	case inodesOption:
		limit, err = strconv.ParseUint(value, 10, 64)
		q.Inodes = limit
	default:
		return fmt.Errorf("layers have no option %q: %w", key, model.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("option %s=%q: %w: %w", key, value, model.ErrInvalid, err)
	}
	return nil
}

// limited tells whether there is any limit.
func (q *quota) limited() bool { return q.Limits != (project.Limits{}) }

// projects are the project quotas of a file system, which functions of package
// project are called for.
type projects interface {
	Check(fd int) error
	New(fd int) (project.ID, error)
	Set(fd int, id project.ID, limits project.Limits) error
	Get(fd int, id project.ID) (project.Limits, project.Usage, error)
	Of(fd int) (project.ID, error)
	Put(fd int, id project.ID) error
}

// kernelProjects implements projects.
type kernelProjects struct{}

func (kernelProjects) Check(fd int) error              { return project.Check(fd) }
func (kernelProjects) New(fd int) (project.ID, error)  { return project.New(fd) }
func (kernelProjects) Of(fd int) (project.ID, error)   { return project.Of(fd) }
func (kernelProjects) Put(fd int, id project.ID) error { return project.Put(fd, id) }
func (kernelProjects) Set(fd int, id project.ID, l project.Limits) error {
	return project.Set(fd, id, l)
}

func (kernelProjects) Get(fd int, id project.ID) (project.Limits, project.Usage, error) {
	return project.Get(fd, id)
}

// checkQuotas reports whether a quota can be kept.
func (d *Driver) checkQuotas(q quota) error {
	if !q.limited() {
		return nil
	}
	if err := d.projects.Check(d.layers.Fd()); err != nil {
		return fmt.Errorf("limits (options %q and %q) need project quotas of the file system at %s: %w", sizeOption, inodesOption, d.layers.Path("."), err)
	}
	return nil
}

// CheckCreate implements drivers.CreateChecker.
func (d *Driver) CheckCreate(opts drivers.CreateOptions) error {
	_, err := d.quotaOf(opts)
	return err
}

// quotaOf returns the quota of a new layer: the configured one, with what the
// layer's own options say instead.
func (d *Driver) quotaOf(opts drivers.CreateOptions) (quota, error) {
	if !opts.Writable {
		for _, key := range slices.Sorted(maps.Keys(opts.StorageOpt)) {
			return quota{}, fmt.Errorf("layers that are not writable have no option %q: %w", key, model.ErrInvalid)
		}
		return quota{}, nil
	}
	q := d.options.quota
	for _, key := range slices.Sorted(maps.Keys(opts.StorageOpt)) {
		if err := q.set(key, opts.StorageOpt[key]); err != nil {
			return quota{}, err
		}
	}
	if err := d.checkQuotas(q); err != nil {
		return quota{}, err
	}
	// Counting is not worth an error.
	q.wanted = q.wanted && (q.limited() || d.projects.Check(d.layers.Fd()) == nil)
	return q, nil
}

// limit gives a new layer a project with the quota. The limits are there first: a
// project without limits and without files is free for everybody.
func (d *Driver) limit(layer *at.Dir, q quota) (id project.ID, err error) {
	if !q.wanted {
		return project.None, nil
	}
	home := d.layers.Fd()
	if id, err = d.projects.New(home); err != nil {
		return project.None, err
	}
	if err := d.projects.Set(home, id, q.Limits); err != nil {
		return project.None, err
	}
	for _, name := range []string{contentDir, workDir} {
		err := onFile(layer, name, func(fd int) error { return d.projects.Put(fd, id) })
		if err != nil {
			return id, fmt.Errorf("project of %s: %w", layer.Path(name), err)
		}
	}
	return id, nil
}

// projectOf returns the project of a layer, or project.None if it has none of
// its own.
func (d *Driver) projectOf(layer *at.Dir) (id project.ID, err error) {
	err = onFile(layer, contentDir, func(fd int) error {
		id, err = d.projects.Of(fd)
		return err
	})
	if err == nil && !id.Ours() || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return project.None, nil // a damaged layer can be removed too
	}
	if err != nil {
		return project.None, err
	}
	// Somebody may have put the whole home into a project.
	if of, err := d.projects.Of(d.layers.Fd()); err != nil || of == id {
		return project.None, err
	}
	return id, nil
}

// forgetProject takes the limits from the project of a layer that is being
// removed. Where quotas are turned off they stay: for a project that nobody has,
// until they are turned on and it becomes somebody's.
func (d *Driver) forgetProject(layer *at.Dir) error {
	id, err := d.projectOf(layer)
	if err != nil || id == project.None || d.projects.Check(d.layers.Fd()) != nil {
		return err
	}
	return d.freeProject(id)
}

func (d *Driver) freeProject(id project.ID) error {
	if id == project.None {
		return nil
	}
	return d.projects.Set(d.layers.Fd(), id, project.Limits{})
}

// usage returns what the quota says that a layer takes on disk.
func (d *Driver) usage(id string) (bytes int64, known bool, err error) {
	layer, err := d.layers.Layer(id)
	if errors.Is(err, model.ErrLayerUnknown) || errors.Is(err, model.ErrCorrupt) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	of, err := d.projectOf(layer)
	if err != nil || of == project.None || d.projects.Check(d.layers.Fd()) != nil {
		return 0, false, err
	}
	_, used, err := d.projects.Get(d.layers.Fd(), of)
	return int64(used.Bytes), err == nil, err
}

// Measure implements drivers.Measurer. Where a quota counts the layer, that is
// asked; or else files are counted, without what is mounted on the layer.
func (d *Driver) Measure(ctx context.Context, id string) (int64, error) {
	if err := drivers.CheckLayer(id); err != nil {
		return 0, err
	}
	if size, known, err := d.usage(id); err != nil || known {
		return size, err
	}
	return d.layers.Measure(ctx, id, mergedDir, newMergedDir)
}

// onFile calls f with the descriptor of a directory that is open for reading:
// what at.Dir.Sub opens is for paths only.
func onFile(dir *at.Dir, name string, f func(fd int) error) (err error) {
	file, err := dir.Enter(name)
	if err != nil {
		return err
	}
	defer func(file *beneath.Dir) { err = errors.Join(err, file.Close()) }(file)
	return f(file.Fd())
}
