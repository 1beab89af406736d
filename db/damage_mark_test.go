package db_test

import (
	"errors"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

func TestMarksOfDamageAreSetAndCleared(t *testing.T) {
	database := twoOfEach(t)
	putData(t, database, model.KindImage, "a", "key", "other")
	split := contentOf("split", 5)
	update(t, database, func(tx *db.Tx) error {
		_, err := tx.UpdateLayer(db.OpApply, "a", func(l *model.Layer) error {
			l.Diff = &model.Diff{Digest: "sha256:01", TarSplit: &split}
			return nil
		})
		return err
	})
	for _, code := range []string{"CODE", ""} {
		update(t, database, func(tx *db.Tx) error {
			return errors.Join(tx.SetLayerDamage("a", code), tx.SetTarSplitDamage("a", code), tx.SetDataDamage(model.KindImage, "a", "key", code))
		})
		view(t, database, func(tx *db.ReadTx) error {
			l, errLayer := tx.Layer("a")
			b, errOther := tx.Layer("b")
			key, errKey := tx.DataItem(model.KindImage, "a", "key")
			other, errItem := tx.DataItem(model.KindImage, "a", "other")
			if err := errors.Join(errLayer, errOther, errKey, errItem); err != nil {
				return err
			}
			if l.Damage != code || l.Diff.TarSplit.Damage != code || key.Content.Damage != code {
				t.Errorf("marked with %q, %q and %q, want %q", l.Damage, l.Diff.TarSplit.Damage, key.Content.Damage, code)
			}
			if b.Damage+other.Content.Damage != "" {
				t.Error("others are marked, too")
			}
			return nil
		})
	}
	for what, err := range map[string]error{
		"layer":     database.Update(t.Context(), func(tx *db.Tx) error { return tx.SetLayerDamage("none", "CODE") }),
		"tar-split": database.Update(t.Context(), func(tx *db.Tx) error { return tx.SetTarSplitDamage("none", "CODE") }),
		"item":      database.Update(t.Context(), func(tx *db.Tx) error { return tx.SetDataDamage(model.KindImage, "a", "none", "CODE") }),
	} {
		if !errors.Is(err, model.ErrNotFound) {
			t.Errorf("unknown %s: %v", what, err)
		}
	}
	update(t, database, func(tx *db.Tx) error { return tx.SetTarSplitDamage("b", "CODE") }) // it has none
}

func TestDataThatIsStoredAnewIsNotMarked(t *testing.T) {
	database := twoOfEach(t)
	putData(t, database, model.KindImage, "a", "key")
	update(t, database, func(tx *db.Tx) error { return tx.SetDataDamage(model.KindImage, "a", "key", "CODE") })
	putData(t, database, model.KindImage, "a", "key")
	view(t, database, func(tx *db.ReadTx) error {
		item, err := tx.DataItem(model.KindImage, "a", "key")
		if err == nil && item.Content.Damage != "" {
			t.Errorf("marked with %q", item.Content.Damage)
		}
		return err
	})
}
