package main

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// layerRecord is a layer as scripts know it. The order of the fields is that
// of the output.
type layerRecord struct {
	ID               model.LayerID     `json:"id"`
	Names            []string          `json:"names,omitempty"`
	Parent           model.LayerID     `json:"parent,omitempty"`
	Metadata         string            `json:"metadata,omitempty"`
	MountLabel       string            `json:"mountlabel,omitempty"`
	Created          time.Time         `json:"created"`
	CompressedDigest digest.Digest     `json:"compressed-diff-digest,omitempty"`
	CompressedSize   int64             `json:"compressed-size,omitempty"`
	DiffDigest       digest.Digest     `json:"diff-digest,omitempty"`
	TOCDigest        digest.Digest     `json:"toc-digest,omitempty"`
	DiffSize         int64             `json:"diff-size,omitempty"`
	Compression      model.Compression `json:"compression,omitempty"`
	UIDs             []uint32          `json:"uidset,omitempty"`
	GIDs             []uint32          `json:"gidset,omitempty"`
	Flags            map[string]any    `json:"flags,omitempty"`
	UIDMap           []model.IDMap     `json:"uidmap,omitempty"`
	GIDMap           []model.IDMap     `json:"gidmap,omitempty"`
	DataNames        []string          `json:"big-data-names,omitempty"`

	readOnly bool // it is in another store
}

func newLayerRecord(l *model.Layer, data []model.Data) layerRecord {
	record := layerRecord{
		ID: l.ID, Names: l.Names, Parent: l.Parent, Metadata: l.Metadata, MountLabel: l.MountLabel,
		Created: l.Created.UTC(), TOCDigest: l.TOCDigest, Flags: l.Flags, UIDMap: l.UIDMap, GIDMap: l.GIDMap,
		DataNames: dataNames(data), readOnly: l.ReadOnly,
	}
	if d := l.Diff; d != nil {
		record.CompressedDigest, record.CompressedSize = d.CompressedDigest, d.CompressedSize
		record.DiffDigest, record.DiffSize = d.Digest, d.Size
		record.Compression, record.UIDs, record.GIDs = d.Compression, d.UIDs, d.GIDs
	}
	return record
}

func readLayer(tx *graph.ReadTx, ref string) (layerRecord, error) {
	l, err := tx.Layer(ref)
	if err != nil {
		return layerRecord{}, err
	}
	data, err := tx.Data(l.ID)
	return newLayerRecord(l, data), err
}

func printLayer(_ context.Context, s *session, l layerRecord) {
	fmt.Fprintf(s.Stdout, "ID: %s\n", l.ID)
	s.printIDMaps("UID", l.UIDMap)
	s.printIDMaps("GID", l.GIDMap)
	if l.Parent != "" {
		fmt.Fprintf(s.Stdout, "Parent: %s\n", l.Parent)
	}
	s.printEach("Name", l.Names)
	s.printReadOnly(l.readOnly)
}

// printReadOnly says so if an object is in another store.
func (s *session) printReadOnly(readOnly bool) {
	if readOnly {
		fmt.Fprintln(s.Stdout, "Read Only: true")
	}
}

func (s *session) printIDMaps(side string, maps []model.IDMap) {
	for _, m := range maps {
		fmt.Fprintf(s.Stdout, "%s mapping: (container=%d, host=%d, size=%d)\n", side, m.ContainerID, m.HostID, m.Size)
	}
}
