package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/model"
)

// Info describes a store. It is written when the store is made.
type Info struct {
	// UUID identifies the store, wherever it is moved to (RFC 9562).
	UUID    string    `cbor:"1,keyasint" json:"uuid"`
	Created time.Time `cbor:"2,keyasint" json:"created"`
	// Driver keeps the contents of the store's layers.
	Driver string `cbor:"3,keyasint" json:"driver"`
	// Features are changes of the format within one schema version that a
	// program has to know to use the store. There are none so far.
	Features []string `cbor:"4,keyasint,omitempty" json:"features,omitempty"`
	// Of is the UUID of the store to which a volatile database belongs, "" for all
	// others. See OpenVolatile.
	Of string `cbor:"5,keyasint,omitempty" json:"of,omitempty"`
}

var (
	infos   = table[Info]{bucketStore}
	schemas = table[uint64]{bucketStore}
)

// features are those that this program knows.
var features = []string{}

// Info returns the description of the store.
func (tx *ReadTx) Info() (*Info, error) {
	info, err := infos.get(tx, keyInfo)
	if errors.Is(err, model.ErrNotFound) {
		err = &RecordError{Bucket: string(bucketStore), Key: keyInfo, Err: errors.New("it is missing")}
	}
	return info, err
}

// Schema returns the version of the schema.
func (tx *ReadTx) Schema() (uint64, error) {
	version, err := schemas.get(tx, keySchema)
	if err != nil {
		return 0, &DamageError{Path: tx.path, Err: fmt.Errorf("schema version: %w", err)}
	}
	return *version, nil
}

// errOutdated means that the database has a schema so old that it cannot even be
// read.
var errOutdated = errors.New("older schema")

// checkSchema makes sure that this program understands the database.
func (tx *ReadTx) checkSchema() error {
	if err := tx.checkVersion(); err != nil {
		return err
	}
	return tx.checkFeatures()
}

// checkVersion makes sure that this program can read the schema.
func (tx *ReadTx) checkVersion() error {
	version, err := tx.Schema()
	if err != nil {
		return err
	}
	if version > SchemaVersion {
		return fmt.Errorf("%w: database %s has schema version %d, this program knows versions up to %d; use a newer csdb",
			model.ErrUnsupported, tx.path, version, SchemaVersion)
	}
	if version < oldestReadable {
		return fmt.Errorf("%w: database %s has %w version %d; it is brought to version %d when it is opened for writing",
			model.ErrUnsupported, tx.path, errOutdated, version, SchemaVersion)
	}
	tx.schema = version
	return nil
}

// checkFeatures makes sure that this program knows what the store uses.
func (tx *ReadTx) checkFeatures() error {
	info, err := tx.Info()
	if err != nil {
		return &DamageError{Path: tx.path, Err: fmt.Errorf("description of the store: %w", err)}
	}
	var unknown []string
	for _, feature := range info.Features {
		if !slices.Contains(features, feature) {
			unknown = append(unknown, feature)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%w: database %s uses %s, which this program does not know; use a newer csdb",
			model.ErrUnsupported, tx.path, strings.Join(unknown, ", "))
	}
	return nil
}
