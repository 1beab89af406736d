package main

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// imageRecord is an image as scripts know it. The order of the fields is that
// of the output.
type imageRecord struct {
	ID           model.ImageID            `json:"id"`
	Digest       digest.Digest            `json:"digest,omitempty"`
	Names        []string                 `json:"names,omitempty"`
	NamesHistory []string                 `json:"names-history,omitempty"`
	Layer        model.LayerID            `json:"layer,omitempty"`
	MappedLayers []model.LayerID          `json:"mapped-layers,omitempty"`
	Metadata     string                   `json:"metadata,omitempty"`
	DataNames    []string                 `json:"big-data-names,omitempty"`
	DataSizes    map[string]int64         `json:"big-data-sizes,omitempty"`
	DataDigests  map[string]digest.Digest `json:"big-data-digests,omitempty"`
	Created      time.Time                `json:"created"`
	Flags        map[string]any           `json:"flags,omitempty"`

	digests  []digest.Digest // all of them, the main one first
	readOnly bool            // it is in another store
}

func newImageRecord(i *model.Image, data []model.Data) imageRecord {
	return imageRecord{
		ID: i.ID, Digest: i.MainDigest(), Names: i.Names, NamesHistory: i.NamesHistory,
		Layer: i.TopLayer, MappedLayers: i.MappedTopLayers, Metadata: i.Metadata,
		DataNames: dataNames(data), DataSizes: dataSizes(data), DataDigests: dataDigests(data),
		Created: i.Created.UTC(), Flags: i.Flags, digests: i.Digests(), readOnly: i.ReadOnly,
	}
}

func readImage(tx *graph.ReadTx, ref string) (imageRecord, error) {
	image, err := tx.Image(ref)
	if err != nil {
		return imageRecord{}, err
	}
	data, err := tx.Data(image.ID)
	return newImageRecord(image, data), err
}

func printImage(ctx context.Context, s *session, i imageRecord) {
	fmt.Fprintf(s.Stdout, "ID: %s\n", i.ID)
	s.printEach("Name", i.Names)
	fmt.Fprintf(s.Stdout, "Top Layer: %s\n", i.Layer)
	for _, layer := range i.MappedLayers {
		fmt.Fprintf(s.Stdout, "Top Layer: %s\n", layer)
	}
	for _, d := range i.digests {
		fmt.Fprintf(s.Stdout, "Digest: %s\n", d)
	}
	s.printEach("Data", i.DataNames)
	s.printSize(s.store.ImageUsage(ctx, i.ID))
	s.printReadOnly(i.readOnly)
}
