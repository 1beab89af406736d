package db

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

// link is an index entry that a record stands for. Every entry of an index
// bucket follows from one record, and can be made anew from it.
type link struct {
	in    bucket
	key   string
	value string // "" for an entry that says all with its key
}

// linkValues has the values of the index entries that have one.
func linkValues(in bucket) table[string] { return table[string]{in} }

func nameLinks(kind model.Kind, id string, names []string) []link {
	links := make([]link, 0, len(names))
	for _, name := range names {
		links = append(links, link{namesOf(kind), name, id})
	}
	return links
}

func digestLink(in bucket, d digest.Digest, id string) []link {
	if d == "" {
		return nil
	}
	return []link{{in: in, key: joinKey(d.String(), id)}}
}

func layerLinks(l *model.Layer) []link {
	links := nameLinks(model.KindLayer, string(l.ID), l.Names)
	if l.Parent != "" {
		links = append(links, link{in: bucketChildren, key: joinKey(string(l.Parent), string(l.ID))})
	}
	links = append(links, digestLink(bucketTOCDigest, l.TOCDigest, string(l.ID))...)
	if l.Diff != nil {
		links = append(links, digestLink(bucketDiffDigest, l.Diff.Digest, string(l.ID))...)
		links = append(links, digestLink(bucketCompressedDigest, l.Diff.CompressedDigest, string(l.ID))...)
		if l.Diff.TarSplit != nil {
			links = append(links, fileLink(l.Diff.TarSplit.Path, model.KindLayer, string(l.ID), ""))
		}
	}
	return links
}

func imageLinks(i *model.Image) []link {
	links := nameLinks(model.KindImage, string(i.ID), i.Names)
	for _, layer := range i.TopLayers() {
		links = append(links, link{in: bucketLayerImages, key: joinKey(string(layer), string(i.ID))})
	}
	for _, d := range i.Digests() {
		links = append(links, digestLink(bucketImageDigest, d, string(i.ID))...)
	}
	return links
}

func containerLinks(c *model.Container) []link {
	links := nameLinks(model.KindContainer, string(c.ID), c.Names)
	links = append(links, link{in: bucketLayerContainers, key: joinKey(string(c.Layer), string(c.ID))})
	if c.Image != "" {
		links = append(links, link{in: bucketImageContainers, key: joinKey(string(c.Image), string(c.ID))})
	}
	return links
}

// fileLink says to what a content file belongs. The tar-split of a layer has
// an empty key.
func fileLink(path string, kind model.Kind, id, key string) link {
	return link{bucketFiles, path, joinKey(string(kind), id, key)}
}

// relink replaces the links of a record.
func (tx *Tx) relink(before, after []link) error {
	keep := make(map[link]bool, len(after))
	for _, l := range after {
		keep[l] = true
	}
	had := make(map[link]bool, len(before))
	for _, l := range before {
		had[l] = true
		if !keep[l] {
			if err := tx.unlink(l); err != nil {
				return err
			}
		}
	}
	for _, l := range after {
		if !had[l] {
			had[l] = true // a list may name a layer twice
			if err := tx.link(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// link makes an index entry, and counts the use of a layer that it means.
func (tx *Tx) link(l link) error {
	if l.value != "" {
		owner, err := linkValues(l.in).get(&tx.ReadTx, l.key)
		if err == nil {
			return fmt.Errorf("%s/%s belongs to %q already: %w", l.in, printable(l.key), strings.ReplaceAll(*owner, separator, " "), model.ErrExists)
		}
		if !errors.Is(err, model.ErrNotFound) {
			return err
		}
		return linkValues(l.in).put(tx, l.key, &l.value)
	}
	b, err := tx.bucket(l.in)
	if err != nil {
		return err
	}
	if err := b.Put([]byte(l.key), nil); err != nil {
		return classify(tx.path, err)
	}
	return tx.countUse(l, +1)
}

// unlink removes an index entry.
func (tx *Tx) unlink(l link) error {
	b, err := tx.bucket(l.in)
	if err != nil {
		return err
	}
	if err := b.Delete([]byte(l.key)); err != nil {
		return classify(tx.path, err)
	}
	return tx.countUse(l, -1)
}
