package dedup

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// maxRivals is how many files of one key may have different contents before a
// stronger key is made of all others. It bounds how often a file is compared.
const maxRivals = 8

// shareSizes lets the files of a round share: those of one size after another.
// The order of the walk stays, so that the first file of a content is the same
// in every run, and with every method.
func (r *run) shareSizes(ctx context.Context, files []*file, done func(int64)) error {
	slices.SortStableFunc(files, func(a, b *file) int { return cmp.Compare(a.size, b.size) })
	for len(files) > 0 {
		size := files[0].size
		n := slices.IndexFunc(files, func(f *file) bool { return f.size != size })
		if n < 0 {
			n = len(files)
		}
		if n > 1 {
			r.result.Files += int64(n)
			if err := r.shareKeys(ctx, files[:n], r.method); err != nil {
				return err
			}
		}
		done(int64(n) * size)
		files = files[n:]
	}
	return nil
}

// shareKeys makes keys by a method, and lets the files of one key share.
func (r *run) shareKeys(ctx context.Context, files []*file, method Method) error {
	if method == Size {
		return r.shareEqual(ctx, files, method)
	}
	var keys []string // in the order of the walk
	byKey := make(map[string][]*file)
	keyer := newKeyer(method)
	for _, f := range files {
		var key string
		err := r.onFile(ctx, f, func(opened *os.File) (err error) {
			key, err = keyer.key(ctx, opened, f.size)
			return err
		})
		if err != nil {
			return err
		}
		if key == "" {
			continue
		}
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], f)
	}
	for _, key := range keys {
		if len(byKey[key]) > 1 {
			if err := r.shareEqual(ctx, byKey[key], method); err != nil {
				return err
			}
		}
	}
	return nil
}

// rival is a file to whose content others are compared.
type rival struct {
	*file
	opened *os.File
}

// shareEqual lets files of one key share as far as they are equal.
func (r *run) shareEqual(ctx context.Context, files []*file, method Method) (err error) {
	var rivals []rival
	defer func() {
		for _, one := range rivals {
			err = errors.Join(err, one.opened.Close())
		}
	}()
	for i, f := range files {
		if len(rivals) == maxRivals {
			next, ok := method.stronger()
			if !ok {
				r.result.Skipped += int64(len(files) - i) // the kernel refuses each
				return nil
			}
			rest := make([]*file, 0, len(rivals)+len(files)-i)
			for _, one := range rivals {
				rest = append(rest, one.file)
			}
			return r.shareKeys(ctx, append(rest, files[i:]...), next)
		}
		err := r.onFile(ctx, f, func(opened *os.File) error {
			equal, err := r.shareWithOne(ctx, rivals, f, opened)
			if err != nil || equal {
				return err
			}
			kept, err := f.open()
			if err == nil {
				rivals = append(rivals, rival{f, kept})
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// shareWithOne lets a file share with the one that it is equal to, if there is
// one.
func (r *run) shareWithOne(ctx context.Context, rivals []rival, f *file, opened *os.File) (equal bool, err error) {
	refusals := false
	for _, one := range rivals {
		bytes, equal, err := share(ctx, one.opened, opened, f.size, r.dryRun)
		if refused(err) {
			refusals = true
			continue
		}
		if err != nil || equal {
			if equal {
				r.result.Shared++
				r.result.Bytes += bytes
			}
			return equal, err
		}
	}
	if refusals && !f.refused {
		f.refused = true
		r.result.Skipped++
	}
	return false, nil
}

// onFile calls a function with a file, opened. A file that is not what it was,
// or cannot be read, is left out, and others are gone on with. An error is one
// that ends everything.
func (r *run) onFile(ctx context.Context, f *file, fn func(*os.File) error) error {
	opened, err := f.open()
	if err == nil {
		err = fn(opened)
		_ = opened.Close() // it was only read
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if fatal(err) {
		return &fs.PathError{Op: "share", Path: f.path(), Err: err}
	}
	r.result.Skipped++
	if !gone(err) && r.result.Skipped < maxNamed {
		r.wrong = append(r.wrong, &fs.PathError{Op: "read", Path: f.path(), Err: err})
	}
	return nil
}

// maxNamed is how many files are left out before errors do not name them any
// more.
const maxNamed = 100

// fatal tells whether an error will be the same with all other files.
func fatal(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM},
		func(e error) bool { return errors.Is(err, e) })
}

// gone tells whether an error means that a name leads to another file now, or to
// one that nobody may or can open by that name.
func gone(err error) bool {
	those := []error{
		errChanged, fs.ErrNotExist, fs.ErrPermission, model.ErrInvalid,
		unix.ELOOP, unix.ENOTDIR, unix.ENAMETOOLONG, unix.EXDEV, unix.ESTALE,
	}
	return slices.ContainsFunc(those, func(e error) bool { return errors.Is(err, e) })
}
