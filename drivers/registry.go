package drivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// Registry lists drivers in the order in which they are tried.
type Registry []Entry

// Entry is a driver in a registry.
type Entry struct {
	// Name is the name of the driver and of its home in the graph root.
	Name string
	// Aliases are other spellings of the name.
	Aliases []string
	// LastResort marks a driver that works everywhere at a price. That it was
	// used in a graph root before is no reason to use it again, unless the
	// configured priority names it.
	LastResort bool
	Open       Constructor
	// Inspect opens the home at a path to look at it as files, whether the
	// driver works here or not. FaultKinds describes what can be found there
	// beyond what layers of every driver can have.
	//
	// others are the homes of other stores in which ancestors may be, as in
	// Config.Others. nil means that it is not known whether there are any. As
	// long as one does not exist, or they are not known, a reference that leads
	// to none of the homes at hand is not taken for damage.
	Inspect    func(ctx context.Context, home string, others []string) (Inspector, error)
	FaultKinds func() []FaultKind
}

// Spec says which driver to open, and where.
type Spec struct {
	// Root and RunRoot are the store's graph root and run root. The driver's
	// directories are those below them that have its name.
	Root, RunRoot string
	// Name is the driver's name. If it is empty, the driver is chosen: the
	// one that was used in Root before, or the first that works.
	Name string
	// Priority lists names of drivers to be tried in this order before all
	// others. Unknown names are passed over.
	Priority []string
	// Options are the driver's options.
	Options []string
	// Others are the graph roots of other stores in which ancestors of layers
	// may be, in the order in which they are searched after Root. Those that
	// Options name come after them. See Config.Others and Entry.ImageStores.
	Others []string
}

// Names returns the names of the drivers.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, entry := range r {
		names[i] = entry.Name
	}
	return names
}

// Open opens the driver that spec asks for.
//
// Without a name, drivers that have a directory in the graph root go first: if
// there is one, it is opened, and its error is final; if there are several,
// the error matches model.ErrInvalid and asks for a name. Else the drivers
// are tried in order, and the first that works is taken; an error that does
// not mean "cannot be used here" (see Constructor) is final.
func (r Registry) Open(ctx context.Context, spec Spec) (Driver, error) {
	if spec.Name != "" {
		entry, ok := r.Find(spec.Name)
		if !ok {
			return nil, fmt.Errorf("driver %q: %w; known are %s", spec.Name, model.ErrDriverNotSupported, strings.Join(r.Names(), ", "))
		}
		return entry.open(ctx, spec)
	}
	prior, err := r.prior(spec)
	switch {
	case err != nil:
		return nil, err
	case len(prior) == 1:
		return prior[0].open(ctx, spec)
	case len(prior) > 1:
		return nil, fmt.Errorf("%s has content of several drivers (%s), choose one explicitly: %w",
			spec.Root, strings.Join(prior.Names(), ", "), model.ErrInvalid)
	}
	return r.firstUsable(ctx, spec)
}

func (e Entry) open(ctx context.Context, spec Spec) (Driver, error) {
	roots, options, err := e.ImageStores(spec.Options)
	if err != nil {
		return nil, fmt.Errorf("driver %s: %w", e.Name, err)
	}
	var others []string
	for _, root := range slices.Concat(spec.Others, roots) {
		others = append(others, filepath.Join(root, e.Name))
	}
	driver, err := e.Open(ctx, Config{
		Home:    filepath.Join(spec.Root, e.Name),
		RunHome: filepath.Join(spec.RunRoot, e.Name),
		Options: options,
		Others:  others,
	})
	if err != nil {
		return nil, fmt.Errorf("driver %s: %w", e.Name, err)
	}
	return driver, nil
}

// Find returns the driver of a name, which may be an old one.
func (r Registry) Find(name string) (Entry, bool) {
	i := slices.IndexFunc(r, func(e Entry) bool { return e.Name == name || slices.Contains(e.Aliases, name) })
	if i < 0 {
		return Entry{}, false
	}
	return r[i], true
}

// configured returns the drivers that the configured priority names.
func (r Registry) configured(spec Spec) Registry {
	var named Registry
	for _, name := range spec.Priority {
		entry, known := r.Find(name)
		if _, repeated := named.Find(entry.Name); known && !repeated {
			named = append(named, entry)
		}
	}
	return named
}

// prior returns the drivers that were used in the graph root before. Where a
// priority is configured, only its drivers count.
func (r Registry) prior(spec Spec) (Registry, error) {
	candidates := r.configured(spec)
	if len(spec.Priority) == 0 {
		candidates = slices.DeleteFunc(slices.Clone(r), func(e Entry) bool { return e.LastResort })
	}
	var used Registry
	for _, entry := range candidates {
		info, err := os.Stat(filepath.Join(spec.Root, entry.Name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("looking for content of driver %s: %w", entry.Name, err)
		}
		if err == nil && info.IsDir() {
			used = append(used, entry)
		}
	}
	return used, nil
}

func (r Registry) firstUsable(ctx context.Context, spec Spec) (Driver, error) {
	order := r.configured(spec)
	for _, entry := range r {
		if _, listed := order.Find(entry.Name); !listed {
			order = append(order, entry)
		}
	}
	refusals := []error{fmt.Errorf("no driver can be used for %s: %w", spec.Root, model.ErrDriverNotSupported)}
	for _, entry := range order {
		driver, err := entry.open(ctx, spec)
		if err == nil || !mayTryNext(err) {
			return driver, err
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

func mayTryNext(err error) bool {
	return errors.Is(err, model.ErrDriverNotSupported) ||
		errors.Is(err, model.ErrDriverPrerequisites) ||
		errors.Is(err, model.ErrIncompatibleFS)
}
