package db_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// temporary makes a database that remove removes.
func temporary(ctx context.Context) (database *db.DB, remove func()) {
	root, err := os.MkdirTemp("", "csdb-example-")
	if err != nil {
		log.Panic(err)
	}
	if database, err = db.Create(ctx, root, "vfs", db.Options{}); err != nil {
		log.Panic(err)
	}
	return database, func() {
		database.Close()
		_ = os.RemoveAll(root)
	}
}

func ExampleOpen() {
	ctx := context.Background()
	_, err := db.Open(ctx, "/no/store/here", db.Options{ReadOnly: true})
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}

// Everything that a function does takes effect together.
func ExampleDB_Update() {
	ctx := context.Background()
	database, remove := temporary(ctx)
	defer remove()

	err := database.Update(ctx, func(tx *db.Tx) error {
		if err := tx.CreateLayer(&model.Layer{ID: "base"}); err != nil {
			return err
		}
		return tx.CreateImage(&model.Image{ID: "image", TopLayer: "base", Names: []string{"example.com/image:1"}})
	})
	fmt.Println("first:", err)

	// The name is taken, so there will be no layer either.
	err = database.Update(ctx, func(tx *db.Tx) error {
		if err := tx.CreateLayer(&model.Layer{ID: "other"}); err != nil {
			return err
		}
		return tx.CreateImage(&model.Image{ID: "another", TopLayer: "other", Names: []string{"example.com/image:1"}})
	})
	fmt.Println("second:", err)

	err = database.View(ctx, func(tx *db.ReadTx) error {
		_, err := tx.Layer("other")
		return err
	})
	fmt.Println("layer:", err)
	// Output:
	// first: <nil>
	// second: image "image": name "example.com/image:1": that name is already in use
	// layer: layer "other": layer not known
}

// All that a function reads is of one moment.
func ExampleDB_View() {
	ctx := context.Background()
	database, remove := temporary(ctx)
	defer remove()
	err := database.Update(ctx, func(tx *db.Tx) error {
		return errors.Join(
			tx.CreateLayer(&model.Layer{ID: "base"}),
			tx.CreateLayer(&model.Layer{ID: "top", Parent: "base"}),
			tx.CreateContainer(&model.Container{ID: "web", Layer: "top", Names: []string{"shop"}}))
	})
	if err != nil {
		log.Panic(err)
	}

	err = database.View(ctx, func(tx *db.ReadTx) error {
		id, err := tx.Find(model.KindContainer, "shop")
		if err != nil {
			return err
		}
		container, err := tx.Container(model.ContainerID(id))
		if err != nil {
			return err
		}
		for id := container.Layer; id != ""; {
			layer, err := tx.Layer(id)
			if err != nil {
				return err
			}
			fmt.Println(layer.ID)
			id = layer.Parent
		}
		return nil
	})
	if err != nil {
		log.Panic(err)
	}
	// Output:
	// top
	// base
}

// The state of an embedding program changes together with the records.
func ExampleTx_App() {
	ctx := context.Background()
	database, remove := temporary(ctx)
	defer remove()

	err := database.Update(ctx, func(tx *db.Tx) error {
		if err := tx.CreateContainer(&model.Container{ID: "web"}); err != nil {
			return err
		}
		return tx.App("com.example.engine").Bucket("state").Put([]byte("web"), []byte("created"))
	})
	if err != nil {
		log.Panic(err)
	}

	err = database.View(ctx, func(tx *db.ReadTx) error {
		return tx.App("com.example.engine").Bucket("state").Each(nil, func(key, value []byte) error {
			fmt.Printf("%s is %s\n", key, value)
			return nil
		})
	})
	if err != nil {
		log.Panic(err)
	}
	// Output: web is created
}
