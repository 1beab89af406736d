package beneath

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a name may lead through, as in the
// kernel (path_resolution(7)).
const maxLinks = 40

// Resolve returns the name beneath d, free of symbolic links and of "..",
// that name leads to. Components that do not exist are taken as they are, so
// the result can be used to create what is missing. The answer holds for as
// long as nobody changes the tree: whoever uses it must open it with PlainDir.
func (d *Dir) Resolve(name string) (string, error) {
	var done []string
	pending := components(name)
	for links := 0; len(pending) > 0; {
		next := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		switch next {
		case "", ".":
			continue
		case "..":
			done = done[:max(len(done)-1, 0)]
			continue
		}
		done = append(done, next)
		target, isLink, err := d.readlinkPlain(strings.Join(done, "/"))
		if err != nil {
			return "", err
		}
		if !isLink {
			continue
		}
		if links++; links > maxLinks {
			return "", pathError("resolve", name, unix.ELOOP)
		}
		done = done[:len(done)-1]
		if strings.HasPrefix(target, "/") {
			done = nil
		}
		pending = append(pending, components(target)...)
	}
	return strings.Join(done, "/"), nil
}

// components returns the components of a name, the last one first.
func components(name string) []string {
	all := strings.Split(name, "/")
	slices.Reverse(all)
	return all
}

// readlinkPlain returns the target of the symbolic link called name, which
// must not lead through another one. Whatever is not a link, or does not
// exist, has none.
func (d *Dir) readlinkPlain(name string) (target string, isLink bool, err error) {
	fd, err := d.openat2(name, unix.O_PATH|unix.O_NOFOLLOW, plain)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	entry := Dir{fd: fd}
	defer func() { err = errors.Join(err, entry.Close()) }()

	var stat unix.Stat_t
	if err := Retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		return "", false, pathError("fstat", name, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", false, nil
	}
	// The empty name means the link that the descriptor refers to.
	target, err = readlinkat(fd, "")
	return target, true, pathError("readlinkat", name, err)
}

// readlinkat returns the target of a symbolic link.
func readlinkat(fd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax) // a target is never longer
	n, err := retry(func() (int, error) { return unix.Readlinkat(fd, name, buf) })
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
