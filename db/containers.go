package db

import (
	"fmt"

	"github.com/csdb/csdb/model"
)

var containers = objects[model.Container]{
	table: table[model.Container]{bucketContainers},
	kind:  model.KindContainer,
	head: func(c *model.Container) head {
		return head{string(c.ID), &c.Names, &c.Created, &c.Seq, &c.Metadata}
	},
	links: containerLinks,
}

// Container returns a container by its ID.
func (tx *ReadTx) Container(id model.ContainerID) (*model.Container, error) {
	return containers.load(tx, string(id))
}

// Containers returns all containers in the order of their creation. If some
// records are damaged, it returns the others, and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) Containers() ([]*model.Container, error) { return containers.list(tx) }

// ContainersOfLayer returns the containers whose own layer it is. There is at
// most one unless the database is damaged.
func (tx *ReadTx) ContainersOfLayer(id model.LayerID) ([]model.ContainerID, error) {
	return idsWith[model.ContainerID](tx, bucketLayerContainers, string(id))
}

// ContainersOfImage returns the containers that were made from the image.
func (tx *ReadTx) ContainersOfImage(id model.ImageID) ([]model.ContainerID, error) {
	return idsWith[model.ContainerID](tx, bucketImageContainers, string(id))
}

// CreateContainer stores a new container. Its image and its layer need not
// have records, but the layer must not be another container's.
func (tx *Tx) CreateContainer(c *model.Container) error {
	if err := tx.checkOwnLayer(c); err != nil {
		return err
	}
	return containers.create(tx, c)
}

// UpdateContainer replaces the record of a container by what fn makes of it.
func (tx *Tx) UpdateContainer(op Op, id model.ContainerID, fn func(*model.Container) error) (*model.Container, error) {
	return containers.update(tx, op, string(id), func(c *model.Container) error {
		if err := fn(c); err != nil {
			return err
		}
		return tx.checkOwnLayer(c)
	})
}

// checkOwnLayer refuses a container whose layer is another container's.
func (tx *Tx) checkOwnLayer(c *model.Container) error {
	owners, err := tx.ContainersOfLayer(c.Layer)
	if err != nil || c.Layer == "" {
		return err
	}
	for _, owner := range owners {
		if owner != c.ID {
			return model.OnObject(model.KindLayer, c.Layer, fmt.Errorf("%w: %s", model.ErrLayerUsedByContainer, owner))
		}
	}
	return nil
}

// DeleteContainer removes a container and its data items. It returns the
// record and the content files that nothing refers to any more. The journal has
// it as a use of the container's image too: nothing else will tell later until
// when the image was needed.
func (tx *Tx) DeleteContainer(id model.ContainerID) (*model.Container, []model.Content, error) {
	c, files, err := containers.delete(tx, string(id))
	if err == nil && c.Image != "" {
		tx.note(OpRelease, model.KindImage, string(c.Image), nil)
	}
	return c, files, err
}
