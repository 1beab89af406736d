package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// containerRecord is a container as scripts know it. The order of the fields
// is that of the output.
type containerRecord struct {
	ID          model.ContainerID        `json:"id"`
	Names       []string                 `json:"names,omitempty"`
	Image       model.ImageID            `json:"image"`
	Layer       model.LayerID            `json:"layer"`
	Metadata    string                   `json:"metadata,omitempty"`
	DataNames   []string                 `json:"big-data-names,omitempty"`
	DataSizes   map[string]int64         `json:"big-data-sizes,omitempty"`
	DataDigests map[string]digest.Digest `json:"big-data-digests,omitempty"`
	Created     time.Time                `json:"created"`
	UIDMap      []model.IDMap            `json:"uidmap,omitempty"`
	GIDMap      []model.IDMap            `json:"gidmap,omitempty"`
	Flags       map[string]any           `json:"flags,omitempty"`

	imageNames []string
}

func newContainerRecord(c *model.Container, data []model.Data) containerRecord {
	return containerRecord{
		ID: c.ID, Names: c.Names, Image: c.Image, Layer: c.Layer, Metadata: c.Metadata,
		DataNames: dataNames(data), DataSizes: dataSizes(data), DataDigests: dataDigests(data),
		Created: c.Created.UTC(), UIDMap: c.UIDMap, GIDMap: c.GIDMap, Flags: c.Flags,
	}
}

func readContainer(tx *graph.ReadTx, ref string) (containerRecord, error) {
	c, err := tx.Container(ref)
	if err != nil {
		return containerRecord{}, err
	}
	data, err := tx.Data(c.ID)
	record := newContainerRecord(c, data)
	if err != nil || c.Image == "" {
		return record, err
	}
	record.imageNames, err = tx.Names(c.Image)
	if errors.Is(err, model.ErrNotFound) { // deleted by force
		err = nil
	}
	return record, err
}

func printContainer(ctx context.Context, s *session, c containerRecord) {
	fmt.Fprintf(s.Stdout, "ID: %s\n", c.ID)
	s.printEach("Name", c.Names)
	fmt.Fprintf(s.Stdout, "Image: %s\n", c.Image)
	s.printEach("Image name", c.imageNames)
	s.printSize(s.store.ContainerUsage(ctx, c.ID))
	fmt.Fprintf(s.Stdout, "Layer: %s\n", c.Layer)
	s.printEach("Data", c.DataNames)
}
