package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func (p *program) imagesCommand() *urfave.Command {
	o := &list[imageRecord]{read: readImages, writeID: printImageID, write: printImageLines}
	return p.command(urfave.Command{
		Name:  "images",
		Usage: "List images",
		Description: `
Images are listed in the order of their creation, each with its names, the
digests by which it can be found, and its data items.

Example:

  containers-storage images --quiet`,
		Flags: []urfave.Flag{quietFlag(&o.quick), jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (p *program) imagesByDigestCommand() *urfave.Command {
	o := &list[imageRecord]{read: readImagesByDigest, writeID: printImageID, write: printImageLines}
	return p.command(urfave.Command{
		Name:  "images-by-digest",
		Usage: "List the images that have a digest", ArgsUsage: "digest",
		Description: `
The digest is that of a manifest, or one that was given to the image when it
was made.

Example:

  containers-storage images-by-digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Flags: []urfave.Flag{quietFlag(&o.quick), jsonFlag(&o.json)},
	}, arity{1, 1}, o)
}

func quietFlag(destination *bool) urfave.Flag {
	return &urfave.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print the IDs only", Destination: destination}
}

func readImages(tx *graph.ReadTx, _ []string) ([]imageRecord, error) {
	images, err := tx.Images()
	records, errData := imageRecords(tx, images)
	return records, errors.Join(err, errData)
}

func readImagesByDigest(tx *graph.ReadTx, args []string) ([]imageRecord, error) {
	wanted, err := digest.Parse(args[0])
	if err != nil {
		return nil, fmt.Errorf("digest %q: %w: %w", args[0], model.ErrInvalid, err)
	}
	images, err := tx.ImagesByDigest(wanted)
	records, errData := imageRecords(tx, images)
	return append([]imageRecord{}, records...), errors.Join(err, errData) // [] in JSON
}

func imageRecords(tx *graph.ReadTx, images []*model.Image) ([]imageRecord, error) {
	records := slices.Grow([]imageRecord(nil), len(images)) // nil, in JSON null, if there are none
	errs := make([]error, 0, len(images))
	for _, image := range images {
		data, err := tx.Data(image.ID)
		errs = append(errs, err)
		records = append(records, newImageRecord(image, data))
	}
	return records, errors.Join(errs...)
}

func printImageID(_ context.Context, s *session, i imageRecord) { fmt.Fprintln(s.Stdout, i.ID) }

func printImageLines(_ context.Context, s *session, i imageRecord) {
	fmt.Fprintln(s.Stdout, i.ID)
	for _, name := range i.Names {
		fmt.Fprintf(s.Stdout, "\tname: %s\n", name)
	}
	for _, d := range i.digests {
		fmt.Fprintf(s.Stdout, "\tdigest: %s\n", d)
	}
	for _, name := range i.DataNames {
		fmt.Fprintf(s.Stdout, "\tdata: %s\n", name)
	}
}
