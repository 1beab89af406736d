package beneath

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// openPlaces is how many directories Places keeps open. An archive that is
// sorted goes back and forth between a directory and its parents; more than a
// few bring nothing.
const openPlaces = 16

// Place is a directory beneath a root.
type Place struct {
	*Dir
	// Name is the directory's name beneath the root, free of symbolic links;
	// "" is the root.
	Name string
}

// Join returns the name beneath the root of an entry of the place.
func (p Place) Join(entry string) string {
	if p.Name == "" {
		return entry
	}
	return p.Name + "/" + entry
}

// Places finds directories beneath a root and keeps the last few open, so that
// the next file in the same directory costs no look-up. It must be told with
// Forget when a directory or a symbolic link may have gone from the tree. A
// Places must not be used by several goroutines at once.
type Places struct {
	root Place
	make MakeDir
	// recent holds what was found, the latest last. Several names may lead to
	// one directory, by symbolic links; each has a descriptor of its own.
	recent []found
}

// MakeDir makes the directory called name in parent, and opens it.
type MakeDir func(parent Place, name string) (*Dir, error)

type found struct {
	name  string
	place Place
}

// NewPlaces returns a Places for the directories beneath root, which must stay
// open. Directories that are missing on the way to one that is looked for are
// made by mkdir; if it is nil they are an error.
func NewPlaces(root *Dir, mkdir MakeDir) *Places {
	return &Places{root: Place{Dir: root}, make: mkdir}
}

// Find returns the directory called name, following symbolic links within the
// root. It stays open until Close, and at
// least until 15 other directories have been looked up.
//
// Errors match ENOTDIR if something on the way is not a directory, and ENOENT
// if it does not exist and is not to be made.
func (p *Places) Find(name string) (Place, error) {
	if name == "" || name == "." {
		return p.root, nil
	}
	if place, ok := p.lookUp(name); ok {
		return place, nil
	}
	dir, err := p.root.PlainDir(name)
	canonical := name
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EXDEV) { // a link, or a name with ".." or a leading slash
		if canonical, err = p.root.Resolve(name); err != nil {
			return Place{}, err
		}
		dir, err = p.root.PlainDir(canonical)
	}
	if p.make != nil && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) {
		dir, err = p.makeAll(canonical)
	}
	if err != nil {
		return Place{}, err
	}
	return p.Keep(name, Place{Dir: dir, Name: canonical}), nil
}

// Keep remembers that name leads to place, which is closed when its turn has
// come.
func (p *Places) Keep(name string, place Place) Place {
	if len(p.recent) == openPlaces {
		// The descriptor was only a means to find files; that closing it
		// failed says nothing about them.
		_ = p.recent[0].place.Close()
		p.recent = slices.Delete(p.recent, 0, 1)
	}
	p.recent = append(p.recent, found{name: name, place: place})
	return place
}

// Forget makes the next Find look again, because names may lead elsewhere now.
// What Find returned before stays open as promised.
func (p *Places) Forget() {
	for i := range p.recent {
		p.recent[i].name = "" // nobody looks for the root here
	}
}

// Close closes the directories that are kept open. The root stays open.
func (p *Places) Close() error {
	errs := make([]error, 0, len(p.recent))
	for _, f := range p.recent {
		errs = append(errs, f.place.Close())
	}
	p.recent = nil
	return errors.Join(errs...)
}

func (p *Places) lookUp(name string) (Place, bool) {
	for i, f := range slices.Backward(p.recent) {
		if f.name == name {
			p.recent = append(slices.Delete(p.recent, i, i+1), f)
			return f.place, true
		}
	}
	return Place{}, false
}

// makeAll opens the directory called name, which contains no symbolic link,
// and makes what is missing on the way.
func (p *Places) makeAll(name string) (*Dir, error) {
	here := p.root
	for component := range strings.SplitSeq(path.Clean(name), "/") {
		next, err := here.Enter(component)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			next, err = p.make(here, component)
		}
		if here != p.root {
			err = errors.Join(err, here.Close())
		}
		if err != nil {
			if next != nil {
				err = errors.Join(err, next.Close())
			}
			return nil, err
		}
		here = Place{Dir: next, Name: here.Join(component)}
	}
	return here.Dir, nil
}
