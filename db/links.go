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
	if c.Layer != "" {
		links = append(links, link{in: bucketLayerContainers, key: joinKey(string(c.Layer), string(c.ID))})
	}
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

// relink replaces the links of a record. Either list may have a link twice, for
// an image may name a layer twice.
func (tx *Tx) relink(before, after []link) error {
	for _, l := range without(before, after) {
		if err := tx.unlink(l); err != nil {
			return err
		}
	}
	for _, l := range without(after, before) {
		if err := tx.link(l); err != nil {
			return err
		}
	}
	return nil
}

// without returns the links that are not among others, each once.
func without(links, others []link) []link {
	passed := make(map[link]bool, len(links)+len(others))
	for _, l := range others {
		passed[l] = true
	}
	var rest []link
	for _, l := range links {
		if !passed[l] {
			passed[l] = true
			rest = append(rest, l)
		}
	}
	return rest
}

// link makes an index entry, and counts the use of a layer that it means.
func (tx *Tx) link(l link) error {
	if l.value == "" && strings.Count(l.key, separator) != 1 {
		// An ID or a digest that nobody has validated.
		return fmt.Errorf("index %s: %w: %q cannot be part of a key", l.in, model.ErrInvalid, l.key)
	}
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
	tx.space.write(len(l.key))
	// Not nil, which bbolt takes for a bucket until the commit.
	if err := b.put([]byte(l.key), []byte{}); err != nil {
		return err
	}
	return tx.countUse(l, +1)
}

// unlink removes an index entry.
func (tx *Tx) unlink(l link) error {
	b, err := tx.bucket(l.in)
	if err != nil {
		return err
	}
	if err := b.remove([]byte(l.key)); err != nil {
		return err
	}
	return tx.countUse(l, -1)
}
