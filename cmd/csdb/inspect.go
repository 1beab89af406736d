package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type inspect struct{ kind, format string }

func (p *program) inspectCommand() *urfave.Command {
	o := &inspect{}
	return p.command(urfave.Command{
		Name: "inspect", Usage: "show all that is known about objects", ArgsUsage: "REF...",
		Description: `
Shows, as JSON, the records of layers, images and containers, their data items
with the files that they are in, what they lie on and what uses them, their
sizes in bytes, and whether they are mounted or leased. A REF is an ID, the
beginning of one, or a name; layers are tried first, then images, then
containers. It may also be a digest, of a layer's diff, of that as it was
received, of a layer's table of contents, or of an image: all that have it are
shown. The result is a list, in the order of the REFs.

With --format, what a Go template makes of each object takes one line. All have
the fields .Kind .ID .Names .Created .Metadata .Flags .Data .Size .UIDMap
.GIDMap .UsedBy, and, of which those that do not apply are empty, .Layer .Image
.Container .Mount .Leases. In them are

  .Size        .Own .Shared .Unique
  .Data        of each .Key .File .Digest .Size .ManifestDigest
  .UsedBy      .Layers .Images .Containers
  .Layer       .Parents .Made .Directory .Incomplete .Damage .Writable .Content .Diff
               .TOCDigest .MountLabel .StorageOpt
  .Layer.Diff  .Digest .Size .CompressedDigest .CompressedSize .Compression
               .UIDs .GIDs .TarSplit
  .Image       .TopLayer .MappedTopLayers .Layers .Digest .Digests
               .NamesHistory
  .Container   .Image .Layer .Layers
  .Mount       .Path .Count .Since .Mounted
  .Leases      of each .ID .Objects .Reason .PID .Command .Since .Expires

` + formatHelp + `

Examples:

  csdb inspect docker.io/library/app:1
  csdb inspect --format '{{.ID}} {{with .Image}}{{.Digest}}{{end}}' app:1 web
  csdb inspect --format '{{range .Data}}{{.Key}} {{.Size}}{{"\n"}}{{end}}' app:1
  csdb inspect --kind container web | jq '.[].mount'
  csdb inspect --kind image $(csdb ls --quiet images)`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "kind", Usage: "`KIND` of the objects: layer, image or container", Destination: &o.kind},
			formatFlag(&o.format),
		},
	}, arity{1, -1}, o)
}

func (o *inspect) run(ctx context.Context, s *session, refs []string) error {
	kinds, err := kindsNamed("inspect", o.kind)
	if err != nil {
		return err
	}
	f, err := newFormatter(s, "inspect", o.format)
	if err != nil {
		return err
	}
	l := lookup{found: []*inspection{}}
	err = s.with(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		if err := store.View(wait, func(tx *graph.ReadTx) error { return l.look(tx, refs, kinds) }); err != nil {
			return err
		}
		mounts, err := s.mounts(ctx, store.Info().UUID)
		if err != nil {
			return err
		}
		leased, _, err := s.leases(ctx, store)
		for _, about := range l.found {
			about.noteMount(mounts)
			about.Leases = leased[model.NewID(about.Kind, about.ID)]
		}
		return l.damaged.note(err)
	})
	if err != nil {
		return err
	}
	if err := o.write(s, f, l.found); err != nil {
		return err
	}
	return errors.Join(l.damaged.err(), errors.Join(l.missing...))
}

func (o *inspect) write(s *session, f *formatter, found []*inspection) error {
	switch {
	case f != nil:
		return writeFormatted(s, f, found)
	case s.json:
		return s.writeJSON(found)
	}
	return s.writePretty(found)
}

// kindsNamed returns the kinds of objects that a command is to look for; none
// means all.
func kindsNamed(command, kind string) ([]model.Kind, error) {
	if kind == "" {
		return nil, nil
	}
	if !slices.Contains(model.Kinds, model.Kind(kind)) {
		return nil, &usageError{command: command, err: fmt.Errorf("--kind %q is none of %v", kind, model.Kinds)}
	}
	return []model.Kind{model.Kind(kind)}, nil
}

// lookup is what came of looking for several objects.
type lookup struct {
	found   []*inspection
	missing []error
	damaged damages
}

// look looks for the objects that refs mean.
func (l *lookup) look(tx *graph.ReadTx, refs []string, kinds []model.Kind) error {
	return findEach(tx, refs, kinds, &l.damaged, &l.missing, func(id model.ID) error {
		about, err := inspectID(tx, id, &l.damaged)
		switch {
		case errors.Is(err, model.ErrNotFound):
			l.missing = append(l.missing, err)
		case err != nil:
			return err
		case about != nil:
			l.found = append(l.found, about)
		}
		return nil
	})
}

// inspectID finds out about an object. It returns nil if its record is damaged,
// which is noted.
func inspectID(tx *graph.ReadTx, id model.ID, damaged *damages) (about *inspection, err error) {
	about = &inspection{Kind: id.Kind(), ID: id.String()}
	switch id := id.(type) {
	case model.LayerID:
		err = about.inspectLayer(tx, id, damaged)
	case model.ImageID:
		err = about.inspectImage(tx, id, damaged)
	case model.ContainerID:
		err = about.inspectContainer(tx, id, damaged)
	}
	if err != nil {
		return nil, damaged.note(err)
	}
	err = about.inspectCommon(tx, id, damaged)
	return about, err
}
