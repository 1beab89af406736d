package db

import "github.com/csdb/csdb/model"

// SetLayerDamage puts the files of a layer in quarantine because of a finding
// with the given code, or lets them out if that is "".
func (tx *Tx) SetLayerDamage(id model.LayerID, code string) error {
	_, err := tx.UpdateLayer(OpRepair, id, func(l *model.Layer) error {
		l.Damage = code
		return nil
	})
	return err
}

// SetTarSplitDamage is SetLayerDamage for the file from which the diff of a layer
// is reproduced. A layer without such a file stays as it is.
func (tx *Tx) SetTarSplitDamage(id model.LayerID, code string) error {
	_, err := tx.UpdateLayer(OpRepair, id, func(l *model.Layer) error {
		if l.Diff != nil && l.Diff.TarSplit != nil {
			l.Diff.TarSplit.Damage = code
		}
		return nil
	})
	return err
}

// SetDataDamage is SetLayerDamage for a data item. Storing the item anew ends the
// quarantine, too.
func (tx *Tx) SetDataDamage(kind model.Kind, id, key, code string) error {
	item, err := tx.DataItem(kind, id, key)
	if err != nil {
		return err
	}
	item.Content.Damage = code
	tx.note(OpRepair, kind, id, []string{key})
	return dataItems(kind).put(tx, joinKey(id, key), item)
}
