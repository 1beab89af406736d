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
		if c.kinds[f.Code].loss && f.Realm == InRoot {
			if f.Quarantined, f.Unusable, err = c.marked(f.Object); err != nil {
				return err
			}
			if volatile, err := c.isVolatile(f.Object); err != nil {
				return err
			} else if volatile {
				f.Unusable = false // repair does not mark what is gone with the next boot
			}
		}
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

// byRepair is the best remedy for whatever package repair can put right.
const byRepair = "`csdb repair` puts it right, and can take that back"

// describe says of all findings what they mean and what can be done.
func (c *checker) describe() {
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		kind := c.kinds[f.Code]
		if f.Code == CodeRecord && f.Derived {
			kind = c.kinds[CodeIndex] // it is no record of an object
		}
		f.Effect = kind.Effect
		if f.Object != nil && f.Object.TarSplit && f.Severity == Damage {
			f.Effect = noTarSplit
		}
		if f.Quarantined {
			f.Effect += "; it is in quarantine, and nothing uses it until it is whole again"
		}
		remedies := kind.Remedies
		if f.Realm == InVolatile {
			remedies = []string{dropVolatile, afterBoot}
		}
		replace := strings.NewReplacer("{path}", c.path(f), "{id}", f.id(), "{place}", f.Place, "{dir}", filepath.Dir(c.inVolatile(f)))
		f.Remedies = make([]string, 0, len(kind.Remedies)+1)
		if f.Fix != nil || f.Derived || f.Code == CodeMark || f.Hold != nil {
			f.Remedies = append(f.Remedies, byRepair)
		}
		if f.Lost != nil && f.Lost.Whole != nil {
			f.Remedies = append(f.Remedies, healLayer)
		}
		for _, remedy := range remedies {
			f.Remedies = append(f.Remedies, replace.Replace(remedy))
		}
		if f.Unusable && !f.Quarantined {
			f.Remedies = append(f.Remedies, quarantine)
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
