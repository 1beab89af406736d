package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// defaultMaxAge is how old a layer that nothing uses may become.
const defaultMaxAge = 24 * time.Hour

type check struct {
	quick, repair, force, json bool
	maxAge                     time.Duration
}

func (p *program) checkCommand() *urfave.Command {
	o := &check{}
	return p.command(urfave.Command{
		Name:  "check",
		Usage: "Find damaged layers, images and containers, and delete them if that is wanted",
		Description: `
Nothing is printed if nothing is wrong, and the exit status is 0. Layers that no
image or container uses are reported when they are old.

With --repair, damaged images are deleted, and damaged layers. Containers are
deleted only with --force, and what is in additional stores never. To bring back what is damaged instead, see csdb repair,
which deletes nothing, and csdb fsck.

Examples:

  containers-storage check
  containers-storage check --repair --max 1h`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "quick", Aliases: []string{"q"}, Usage: "do not look for what was added to layers or changed in them besides contents", Destination: &o.quick},
			&urfave.BoolFlag{Name: "repair", Aliases: []string{"r"}, Usage: "delete damaged images and layers", Destination: &o.repair},
			&urfave.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "delete damaged images, layers and containers", Destination: &o.force},
			&urfave.DurationFlag{Name: "max", Aliases: []string{"m"}, Usage: "how old layers may be that nothing uses", Value: defaultMaxAge, Destination: &o.maxAge},
			jsonFlag(&o.json),
		},
	}, arity{0, 0}, o)
}

// check reports flags that make no sense.
func (o *check) check() error {
	if o.maxAge < 0 {
		return fmt.Errorf("--max: %w: %v is negative", model.ErrInvalid, o.maxAge)
	}
	return nil
}

func (o *check) run(ctx context.Context, s *session, _ []string) error {
	report, err := o.examine(ctx, s)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if err := report.write(s, o.json); err != nil {
		return err
	}
	repair := o.repair || o.force
	var failed []error
	if repair {
		failed = report.deleteDamaged(ctx, s, o.force)
	}
	if err := s.printFailures(failed, o.json); err != nil {
		return err
	}
	errs := report.other
	if !report.empty() && !repair || len(report.containers) > 0 && !o.force || report.damagedForGood() {
		errs = append(errs, report.count())
	}
	if len(failed) > 0 && len(errs) == 0 {
		return errReported
	}
	return errors.Join(errs...)
}

// printFailures prints why something could not be deleted.
func (s *session) printFailures(failed []error, asJSON bool) error {
	if asJSON && len(failed) > 0 { // in which errors have no text
		return cli.WriteJSON(s.Stdout, make([]struct{}, len(failed)))
	}
	for _, err := range failed {
		fmt.Fprintln(s.Stderr, oneLine(err))
	}
	return nil
}

// faults are errors by the ID of what they are about.
type faults map[string][]string

// add adds an error about an object, once.
func (f faults) add(id string, texts ...string) {
	for _, text := range texts {
		if !slices.Contains(f[id], text) {
			f[id] = append(f[id], text)
		}
	}
}

// checkReport is what a check has found.
type checkReport struct {
	layers, images, containers faults
	// readOnlyLayers and readOnlyImages are in stores that are only read.
	readOnlyLayers, readOnlyImages faults
	// strays are those of layers that only the driver knows, by the driver's
	// names for them, which are no IDs of records.
	strays faults
	// parents are those of all layers.
	parents map[model.LayerID]model.LayerID
	// other is what is wrong with the store as a whole.
	other []error
}

// empty tells whether nothing is wrong with any object.
func (r *checkReport) empty() bool {
	return len(r.layers)+len(r.strays)+len(r.images)+len(r.containers) == 0 && !r.damagedForGood()
}

// damagedForGood tells whether something is wrong with what nobody can delete.
func (r *checkReport) damagedForGood() bool { return len(r.readOnlyLayers)+len(r.readOnlyImages) > 0 }

// allLayers returns the errors of layers with a record and of those without.
func (r *checkReport) allLayers() faults {
	all := faults{}
	for _, group := range []faults{r.layers, r.strays} {
		for id, texts := range group {
			all.add(id, texts...)
		}
	}
	return all
}

// count returns an error that tells with how many objects something is wrong.
func (r *checkReport) count() error {
	return fmt.Errorf("%d layer errors, %d read-only layer errors, %d image errors, %d read-only image errors, %d container errors",
		len(r.allLayers()), len(r.readOnlyLayers), len(r.images), len(r.readOnlyImages), len(r.containers))
}

// write prints the errors of each object.
func (r *checkReport) write(s *session, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(s.Stdout, struct {
			Layers, ROLayers, Images, ROImages, Containers map[string][]struct{}
		}{
			r.allLayers().withoutText(), r.readOnlyLayers.withoutText(),
			r.images.withoutText(), r.readOnlyImages.withoutText(), r.containers.withoutText(),
		})
	}
	for _, group := range []struct {
		kind   string
		faults faults
	}{
		{"layer", r.allLayers()},
		{readOnly + "layer", r.readOnlyLayers},
		{"image", r.images},
		{readOnly + "image", r.readOnlyImages},
		{"container", r.containers},
	} {
		for _, id := range slices.Sorted(maps.Keys(group.faults)) {
			fmt.Fprintf(s.Stdout, "%s %s:\n", group.kind, id)
			for _, text := range group.faults[id] {
				fmt.Fprintf(s.Stdout, " %s\n", text)
			}
		}
	}
	return nil
}

// readOnly stands before what is said about something in a store that is only read.
const readOnly = "read-only "

// withoutText returns the errors as JSON has them.
func (f faults) withoutText() map[string][]struct{} {
	all := make(map[string][]struct{}, len(f))
	for id, texts := range f {
		all[id] = make([]struct{}, len(texts))
	}
	return all
}
