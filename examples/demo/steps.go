package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// importLayers makes a layer of each archive.
func (d *demo) importLayers(ctx context.Context) error {
	d.say("2. Layers", "Each archive becomes a layer: unpacked, hashed, noted down for replay, synced, and only then committed.")
	d.printf("   (Both commands are told --root and --runroot each time, which is left out here.)\n")
	parent := []string{}
	for _, a := range d.archives {
		id, err := one(d.storage(ctx, append([]string{"import-layer", "--file", a.packed}, parent...)...))
		if err != nil {
			return err
		}
		d.printf("     %s\n", id)
		d.layers = append(d.layers, id)
		parent = []string{id}
	}
	lines, err := d.storage(ctx, "status", "--json")
	if err != nil {
		return err
	}
	d.printf("     %s\n", lines[0])
	return nil
}

// makeImage makes an image with a config and a manifest in one transaction of
// the library.
func (d *demo) makeImage(ctx context.Context) (err error) {
	d.say("3. An image, in one transaction", "The library stages config and manifest, then commits image, name and both data items at once.")
	store, err := graph.Open(ctx, graph.Options{Root: d.root(), RunRoot: d.run()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	config, err := store.StageData(ctx, graph.DataSpec{}, strings.NewReader(d.config()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, config.Discard(ctx)) }()
	manifest, err := store.StageData(ctx, graph.DataSpec{}, strings.NewReader(d.manifest(config)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manifest.Discard(ctx)) }()
	id := model.ImageID(config.Digest().Encoded())
	err = store.Update(ctx, func(tx *graph.Tx) error {
		image, err := tx.CreateImage(graph.ImageSpec{
			ID: id, TopLayer: model.LayerID(d.layers[len(d.layers)-1]), Names: []string{"localhost/demo:latest"},
		})
		if err != nil {
			return err
		}
		return errors.Join(tx.SetData(image.ID, "config", config), tx.SetData(image.ID, "manifest", manifest))
	})
	d.image = string(id)
	if err == nil {
		err = d.csdb(ctx, "ls", "images")
	}
	return err
}

// config is that of an image as the OCI image specification has it.
func (d *demo) config() string {
	ids := make([]string, 0, len(d.archives))
	for _, a := range d.archives {
		ids = append(ids, fmt.Sprintf("%q", "sha256:"+a.digest))
	}
	return fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%s]}}`, strings.Join(ids, ","))
}

func (d *demo) manifest(config *graph.StagedData) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
		config.Digest(), config.Size())
}

// makeContainers makes two containers and mounts one.
func (d *demo) makeContainers(ctx context.Context) error {
	d.say("4. Two containers", "A container is one commit; its layer costs nothing on disk until it is mounted.")
	for _, name := range []string{"one", "two"} {
		id, err := one(d.storage(ctx, "create-container", "--name", name, "localhost/demo:latest"))
		if err != nil {
			return err
		}
		d.containers = append(d.containers, id)
	}
	path, err := one(d.storage(ctx, "mount", "one"))
	if err != nil {
		return err
	}
	d.mounted = path
	d.printf("     %s\n", strings.Replace(path, d.dir, "...", 1))
	return nil
}

// changeContainer changes files the way a container would.
func (d *demo) changeContainer(ctx context.Context) error {
	d.say("5. Changes", "One file is added, one changed, one deleted, in the mounted container; the image stays as it is.")
	hostname := filepath.Join(d.mounted, "etc", "hostname")
	err := errors.Join(
		os.WriteFile(filepath.Join(d.mounted, "etc", "made-by-demo"), []byte("hello\n"), 0o600),
		os.WriteFile(hostname, []byte("demo\n"), 0o600),
		os.Remove(filepath.Join(d.mounted, filepath.Base(d.goTree()), "VERSION")),
	)
	if err != nil {
		return err
	}
	layer, err := d.layerOf(ctx, "one")
	if err != nil {
		return err
	}
	changes, err := d.storage(ctx, "changes", layer)
	if err != nil {
		return err
	}
	slices.Sort(changes)
	d.printf("     %s\n", strings.Join(changes, "\n     "))
	for _, wanted := range []string{`Add "/etc/made-by-demo"`, `Modify "/etc/hostname"`, "Delete \"/" + filepath.Base(d.goTree()) + `/VERSION"`} {
		if !slices.Contains(changes, wanted) {
			return fmt.Errorf("the changes do not list %s", wanted)
		}
	}
	return nil
}

// goTree is the only directory in the first archive.
func (d *demo) goTree() string {
	entries, err := os.ReadDir(d.mounted)
	if err == nil {
		for _, e := range entries {
			if e.Name() != "etc" {
				return e.Name()
			}
		}
	}
	return "go"
}

// layerOf returns the layer of a container.
func (d *demo) layerOf(ctx context.Context, container string) (string, error) {
	lines, err := d.storage(ctx, "container", container)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if layer, found := strings.CutPrefix(line, "Layer: "); found {
			return layer, nil
		}
	}
	return "", fmt.Errorf("container %s has no layer", container)
}

// look shows the store from several sides.
func (d *demo) look(ctx context.Context) error {
	d.say("6. A look around", "What is there, what belongs together, what it takes, and what has happened.")
	for _, args := range [][]string{{"tree"}, {"du"}, {"log", "-n", "6"}} {
		if err := d.csdb(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}
