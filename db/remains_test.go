package db_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

func TestIndexesTellWhatRemainsOfADamagedRecord(t *testing.T) {
	split := contentOf("split", 5)
	want := map[model.Kind]db.Remains{
		model.KindLayer:     {Names: []string{"layer-b", "more"}, Parent: "a", Diff: "sha256:01", TarSplit: "split"},
		model.KindImage:     {Names: []string{"image-b"}},
		model.KindContainer: {Names: []string{"container-b"}, Layer: "b"},
	}
	for kind, o := range objects {
		t.Run(string(kind), func(t *testing.T) {
			database := create(t)
			update(t, database, threeOfEach)
			update(t, database, func(tx *db.Tx) error {
				_, err := tx.UpdateLayer(db.OpModify, "b", func(l *model.Layer) error {
					l.Parent, l.Names, l.Diff = "a", append(l.Names, "more"), &model.Diff{Digest: "sha256:01", TarSplit: &split}
					return nil
				})
				return err
			})
			discard := func(withData bool) error {
				return database.Update(t.Context(), func(tx *db.Tx) error {
					files, err := tx.DiscardUnreadable(t.Context(), kind, "b", withData)
					if err == nil && withData != (len(files) == 1) {
						t.Errorf("%d files", len(files))
					}
					return err
				})
			}
			wantClass(t, discard(true), model.ErrInvalid)
			dbtest.FlipBit(t, database.Path(), o.bucket, "b")
			view(t, database, func(tx *db.ReadTx) error {
				got, err := tx.Remains(t.Context(), kind, "b")
				if err == nil {
					if diff := cmp.Diff(want[kind], *got, cmpopts.EquateEmpty()); diff != "" {
						t.Error(diff)
					}
				}
				damaged, errDamaged := tx.IsUnreadable(kind, "b")
				intact, errIntact := tx.IsUnreadable(kind, "a")
				none, errNone := tx.IsUnreadable(kind, "none")
				if !damaged || intact || none {
					t.Errorf("damaged %v, intact %v, none %v", damaged, intact, none)
				}
				return errors.Join(err, errDamaged, errIntact, errNone)
			})
			if err := discard(true); err != nil {
				t.Fatal(err)
			}
			wantClass(t, database.View(t.Context(), func(tx *db.ReadTx) error { return o.load(tx, "b") }), model.ErrNotFound)
			wantClass(t, discard(true), model.ErrInvalid)
			for _, problem := range dbtest.Problems(t, database) {
				if !slices.Contains([]db.ProblemCode{db.ProblemTopLayer, db.ProblemLayer}, problem.Code) {
					t.Error(problem) // what it was needed for goes on needing it
				}
			}
		})
	}
}
