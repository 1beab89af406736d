package db

import (
	"errors"
	"slices"

	"github.com/csdb/csdb/model"
)

// NameOwner returns the ID of the object that has a name.
func (tx *ReadTx) NameOwner(kind model.Kind, name string) (string, error) {
	owner, err := linkValues(namesOf(kind)).get(tx, name)
	if errors.Is(err, model.ErrNotFound) {
		return "", model.Unknown(kind, name)
	}
	if err != nil {
		return "", err
	}
	return *owner, nil
}

// Find returns the ID of the object that ref means: the object with that ID,
// or else with that name, or else (for containers) with the layer of that ID,
// or else the only one whose ID begins with ref.
func (tx *ReadTx) Find(kind model.Kind, ref string) (string, error) {
	if ref == "" {
		return "", model.Unknown(kind, ref)
	}
	if found, err := keeperOf(kind).has(tx, ref); err != nil || found {
		return ref, err
	}
	owner, err := tx.NameOwner(kind, ref)
	if !errors.Is(err, model.ErrNotFound) {
		return owner, err
	}
	if kind == model.KindContainer {
		owners, err := tx.ContainersOfLayer(model.LayerID(ref))
		if err != nil {
			return "", err
		}
		if len(owners) > 0 {
			return string(owners[0]), nil
		}
	}
	return tx.findByPrefix(kind, ref)
}

// findByPrefix returns the only ID that begins with prefix.
func (tx *ReadTx) findByPrefix(kind model.Kind, prefix string) (string, error) {
	b, err := tx.bucket(recordsOf(kind))
	if err != nil {
		return "", err
	}
	var found []string
	err = b.scan([]byte(prefix), func(key, _ []byte) error {
		if found = append(found, string(key)); len(found) > 1 {
			return errStop
		}
		return nil
	})
	if err == nil && len(found) != 1 {
		err = model.Unknown(kind, prefix)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// Names returns the names of an object.
func (tx *ReadTx) Names(kind model.Kind, id string) ([]string, error) {
	return keeperOf(kind).names(tx, id)
}

// SetNames replaces the names of an object and returns them. Names that other
// objects of the kind have are taken away from those.
func (tx *Tx) SetNames(kind model.Kind, id string, names []string) ([]string, error) {
	return tx.rename(kind, id, func([]string) []string { return names })
}

// AddNames gives names to an object, in front of those it has, and returns all
// of them. Names that other objects of the kind have are taken away from
// those.
func (tx *Tx) AddNames(kind model.Kind, id string, names []string) ([]string, error) {
	return tx.rename(kind, id, func(old []string) []string { return slices.Concat(names, old) })
}

// RemoveNames takes names away from an object and returns the others. Names
// that it does not have are passed over.
func (tx *Tx) RemoveNames(kind model.Kind, id string, names []string) ([]string, error) {
	return tx.rename(kind, id, func(old []string) []string {
		return slices.DeleteFunc(slices.Clone(old), func(name string) bool { return slices.Contains(names, name) })
	})
}

// rename replaces the names of an object by what fn makes of them.
func (tx *Tx) rename(kind model.Kind, id string, fn func(old []string) []string) ([]string, error) {
	keeper := keeperOf(kind)
	old, err := keeper.names(&tx.ReadTx, id)
	if err != nil {
		return nil, err
	}
	names := model.UniqueNames(fn(old)...)
	for _, name := range names { // all of them before the first is taken away
		if err := model.ValidateName(name); err != nil {
			return nil, model.OnObject(kind, id, err)
		}
	}
	for _, name := range names {
		if err := tx.takeName(kind, id, name); err != nil {
			return nil, err
		}
	}
	return names, keeper.setNames(tx, id, names, true)
}

// takeName takes a name away from the object that has it, unless that is id.
func (tx *Tx) takeName(kind model.Kind, id, name string) error {
	owner, err := tx.NameOwner(kind, name)
	if errors.Is(err, model.ErrNotFound) || owner == id {
		return nil
	}
	if err != nil {
		return err
	}
	keeper := keeperOf(kind)
	names, err := keeper.names(&tx.ReadTx, owner)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	return keeper.setNames(tx, owner, names, false)
}

// TakeName takes a name away from the object that has it, if there is one.
func (tx *Tx) TakeName(kind model.Kind, name string) error { return tx.takeName(kind, "", name) }

// Metadata returns the metadata of an object.
func (tx *ReadTx) Metadata(kind model.Kind, id string) (string, error) {
	return keeperOf(kind).metadata(tx, id)
}

// SetMetadata replaces the metadata of an object.
func (tx *Tx) SetMetadata(kind model.Kind, id, text string) error {
	return keeperOf(kind).setMetadata(tx, id, text)
}
