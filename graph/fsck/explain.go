package fsck

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// attribute tells which images and containers suffer from what was found. The
// records are read once more for that, but only if anything was found.
func (c *checker) attribute(ctx context.Context) error {
	if !slices.ContainsFunc(c.report.Findings, func(f Finding) bool { return f.Object != nil }) {
		return nil
	}
	u, err := c.loadUsers(ctx)
	if err != nil {
		return err
	}
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		if f.Object == nil {
			continue
		}
		f.Object.Names = u.names[ref{f.Object.Kind, f.Object.ID}]
		if c.kinds[f.Code].spreads {
			// With a driver that copies layers each one stands for itself.
			content := f.Realm == InRoot && f.Object.Item == "" && !f.Object.TarSplit
			u.affected(f, content && c.copies)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// list returns objects with their names, ordered by ID, but not too many.
func (u *users) list(f *Finding, kind model.Kind, ids map[string]bool) []Object {
	objects := make([]Object, 0, min(len(ids), maxAffected))
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if len(objects) == maxAffected || u.budget <= 0 {
			f.More = true
			break
		}
		u.budget--
		objects = append(objects, u.object(kind, id))
	}
	return objects
}

// noTarSplit is the effect of damage to the file from which a diff is
// reproduced.
const noTarSplit = "the layer can be used, but its diff cannot be reproduced bit for bit: it cannot be pushed or exported as it was"

// describe says of all findings what they mean and what can be done.
func (c *checker) describe() {
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		kind := c.kinds[f.Code]
		f.Effect = kind.Effect
		if f.Object != nil && f.Object.TarSplit && f.Severity == Damage {
			f.Effect = noTarSplit
		}
		replace := strings.NewReplacer("{path}", c.path(f), "{id}", f.id())
		f.Remedies = make([]string, len(kind.Remedies))
		for n, remedy := range kind.Remedies {
			f.Remedies[n] = replace.Replace(remedy)
		}
	}
}

// path returns the path of the file that a finding is about.
func (c *checker) path(f *Finding) string {
	if f.Realm == InRoot && c.options.Root != "" {
		return filepath.Join(c.options.Root, f.Place)
	}
	return c.report.Database
}

func (f *Finding) id() string {
	if f.Object == nil {
		return ""
	}
	return f.Object.ID
}
