package rescue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// Options say what to rescue, and from what. Root is required.
type Options struct {
	// Root is the graph root of the store, and RunRoot its run root, which is
	// of use for the check of the new database only.
	Root, RunRoot string
	// Backup is a backup of the database, "" for none.
	Backup string
	// FromFiles makes records of directories and content files, as far as
	// records are missing.
	FromFiles bool
	// Output is the path of the new database, in the directory Root. Nothing is
	// written if it is "".
	Output string
	// Replace allows Output to exist, and replaces it.
	Replace bool
	// Force goes on if nothing is wrong with the database.
	Force bool
	// Driver is the store's driver, for a store that cannot tell any more.
	Driver string
	// Drivers are those whose directories can be looked at; nil means all that
	// are built in.
	Drivers drivers.Registry
	// Progress is told how far the reading has come.
	Progress db.Progress
	// Wait is how long to wait for programs that change the store; 0 means as
	// long as the context lasts.
	Wait time.Duration
}

func (o *Options) complete() (err error) {
	if o.Root == "" {
		return fmt.Errorf("%w: a rescue needs a graph root", model.ErrInvalid)
	}
	for _, path := range []*string{&o.Root, &o.Backup, &o.Output} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if o.Output != "" && (filepath.Dir(o.Output) != o.Root || filepath.Base(o.Output) == db.FileName) {
		return fmt.Errorf("%w: the new database %s must be beside the old one, in %s", model.ErrInvalid, o.Output, o.Root)
	}
	if o.Drivers == nil {
		o.Drivers = builtin.Registry()
	}
	if o.Driver != "" {
		o.Driver, err = o.Drivers.Canonical(o.Driver)
	}
	return err
}

// ErrNotNeeded means that nothing is wrong with a database.
var ErrNotNeeded = fmt.Errorf("%w: the database can be used as it is", model.ErrInvalid)

// Rescue finds out what can be had, and makes a new database of it unless
// options.Output is "". The old one is not touched. The error matches
// ErrNotNeeded if nothing is wrong with it, fs.ErrNotExist if there is no
// store in options.Root, and model.ErrExists if there is a file where the new
// database should be.
func Rescue(ctx context.Context, options Options) (*Report, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	r := &Report{
		Schema: SchemaName, Root: options.Root, Database: filepath.Join(options.Root, db.FileName), options: options,
		Metas: []string{}, Trees: []Tree{}, Unusable: []string{}, Backup: options.Backup,
	}
	if err := r.run(ctx); err != nil {
		return nil, fmt.Errorf("rescuing %s: %w", r.Database, err)
	}
	return r, nil
}

func (r *Report) run(ctx context.Context) error {
	if err := r.diagnose(ctx); err != nil {
		return err
	}
	if r.State == Fine && !r.options.Force {
		return ErrNotNeeded
	}
	salvaged, err := r.salvage(ctx)
	if err != nil {
		return err
	}
	if r.options.Backup != "" {
		if err := r.addBackup(ctx, salvaged); err != nil {
			return err
		}
	}
	info, err := r.identify(salvaged)
	if err != nil {
		return err
	}
	r.Unknown = !salvaged.Complete()
	r.UUID, r.Driver, r.Created = info.UUID, info.Driver, info.Created
	if r.options.FromFiles {
		if err := r.addFiles(ctx, salvaged); err != nil {
			return err
		}
	}
	if r.options.Output == "" {
		r.note(salvaged, salvaged.Plan())
		return nil
	}
	if r.options.Replace {
		if err := os.Remove(r.options.Output); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	rebuilt, err := salvaged.Rebuild(ctx, r.options.Output, *info, db.Options{})
	if err != nil {
		return err
	}
	r.Output = rebuilt.Path
	r.note(salvaged, rebuilt.Omissions)
	return r.check(ctx)
}

// diagnose finds out what is wrong with the database.
func (r *Report) diagnose(ctx context.Context) error {
	info, err := os.Lstat(r.Database)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.State, r.Problem = Missing, "there is no file of that name"
		if marked, errMarker := db.ReadMarker(r.Root); errMarker == nil && marked == "" {
			return err // that never was a store
		}
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		r.State, r.Problem = Damaged, "it is not a regular file"
		return nil
	}
	r.State = Fine
	var problems []db.Problem
	report, err := db.Examine(ctx, r.options.Wait, r.Database, func(tx *db.ReadTx) (err error) {
		problems, err = tx.Check(ctx)
		return err
	})
	switch {
	case errors.Is(err, model.ErrCorrupt):
		r.State, r.Problem = Damaged, reason(err)
	case err != nil:
		return err
	}
	if report != nil {
		problems = append(report.Problems, problems...)
	}
	for _, problem := range problems {
		if !problem.Code.IsReference() && r.State == Fine {
			r.State, r.Problem = Damaged, problem.String()
		}
	}
	return nil
}

// reason returns what is wrong with a database, without advice.
func reason(err error) string {
	if damage, ok := errors.AsType[*db.DamageError](err); ok {
		err = damage.Err
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// salvage reads the database.
func (r *Report) salvage(ctx context.Context) (_ *db.Salvaged, err error) {
	release, err := db.KeepStill(ctx, r.Root, r.options.Wait)
	if err != nil {
		return nil, err
	}
	defer release()
	if r.state, err = db.StateOf(r.Database); err != nil {
		return nil, err
	}
	s, err := db.Salvage(ctx, r.Database, r.options.Progress)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, model.ErrInvalid) {
		return db.SalvageNothing(r.Database), nil
	}
	if err != nil {
		return nil, err
	}
	r.Size, r.PageSize, r.Incomplete = s.Size, s.PageSize, s.Incomplete
	for _, err := range s.MetaErrors {
		text := ""
		if err != nil {
			text = err.Error()
		}
		r.Metas = append(r.Metas, text)
	}
	for _, tree := range s.Trees {
		r.Trees = append(r.Trees, Tree(tree))
	}
	return s, nil
}

// addBackup fills gaps from a backup.
func (r *Report) addBackup(ctx context.Context, s *db.Salvaged) error {
	backup, err := db.Salvage(ctx, r.options.Backup, r.options.Progress)
	if errors.Is(err, fs.ErrNotExist) { // which would mean that there is no store
		return fmt.Errorf("backup %s: %w", r.options.Backup, model.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	info := backup.Info()
	if info == nil {
		return fmt.Errorf("backup %s: %w: it does not tell of which store it is", r.options.Backup, model.ErrCorrupt)
	}
	known, err := r.uuid(s)
	if err != nil {
		return err
	}
	if known != "" && known != info.UUID {
		return fmt.Errorf("backup %s: %w: it is of the store %s, and not of %s", r.options.Backup, model.ErrInvalid, info.UUID, known)
	}
	s.AddBackup(backup)
	return nil
}

// uuid returns the UUID of the store, "" if nothing tells.
func (r *Report) uuid(s *db.Salvaged) (string, error) {
	marked, err := db.ReadMarker(r.Root)
	if err != nil && !errors.Is(err, model.ErrCorrupt) {
		return "", err
	}
	info := s.Info()
	switch {
	case info == nil:
		return marked, nil
	case marked != "" && info.UUID != marked:
		return "", fmt.Errorf("%w: it is the database of the store %s, and %s names the store %s",
			model.ErrInvalid, info.UUID, db.MarkerName, marked)
	}
	return info.UUID, nil
}

// check lets fsck look at the new database in the place of the old one.
func (r *Report) check(ctx context.Context) (err error) {
	r.Check, err = fsck.Check(ctx, fsck.Options{
		Root: r.Root, RunRoot: r.options.RunRoot, Instead: r.Output, Wait: r.options.Wait, Drivers: r.options.Drivers,
	})
	return err
}

// Install puts the new database of a report in the place of the old one, while
// nobody uses the store. The old one is kept under a name with the time in it,
// which the report has from then on. The error matches model.ErrBusy if
// somebody has written to the old one since it was read, or does not stop using
// the store in time.
func Install(ctx context.Context, r *Report, now time.Time) error {
	if r.Output == "" || r.Installed {
		return fmt.Errorf("%w: there is no new database", model.ErrInvalid)
	}
	kept, err := db.Install(ctx, r.options.Wait, r.Root, r.Output, r.state, now)
	if err != nil {
		return err
	}
	r.Installed, r.Kept, r.Output = true, kept, r.Database
	return nil
}
