// Package db keeps the bookkeeping of a store in one bbolt file, and is the
// only package that knows how. It knows no driver and touches no content.
//
// A DB runs transactions: View for reading one consistent state, Update for
// changing it, all or nothing. Any number of processes may do so at the same
// time, see the type file in this package. A Run does the same for the run
// database, which holds what is true only until the machine is booted again.
// Nothing that stands in the file can harm the process: damage becomes an error
// that matches model.ErrCorrupt, see guard and handle.
//
//	database, err := db.Open(ctx, root, db.Options{})
//	...
//	err = database.Update(ctx, func(tx *db.Tx) error {
//		return tx.CreateLayer(&model.Layer{ID: model.NewLayerID()})
//	})
//
// The package keeps what can be told from the database alone: IDs and names
// are unique, index entries, counts and sums follow from the records in the
// same transaction. It does not ask whether an object is still needed when it
// is deleted, nor what becomes of its content: that is what package graph is
// for.
//
// A store may consist of several places with a database each: ViewAll and UpdateAll
// run one transaction over several of them. One below a run root (OpenVolatile) is
// gone with the next boot of the machine.
//
// # Schema
//
// The database is the file csdb.db in the root of the store. In the following
// drawing a bucket ends with a slash, ID stands for the ID of an object, and "|"
// for a NUL byte between the parts of a key. The text behind a key is about its
// value; values have a checksum, see seal, but for those that are empty. Records
// are CBOR (RFC 8949); the numbers of their fields stand in their declarations.
// Numbers in keys are big endian, in 8 bytes.
//
//	v1/
//	  store/                               about the store as a whole
//	    schema                             version of the schema: number
//	    info                               UUID, time of creation, driver, features: Info
//	    usage                              sums over all records: Usage
//	  layers/
//	    ID                                 model.Layer
//	  images/
//	    ID                                 model.Image
//	  containers/
//	    ID                                 model.Container
//	  names/layer/
//	    NAME                               ID of the layer with that name
//	  names/image/
//	    NAME                               ID of the image with that name
//	  names/container/
//	    NAME                               ID of the container with that name
//	  data/layer/
//	    ID|KEY                             data item of a layer: model.Data
//	  data/image/
//	    ID|KEY                             data item of an image: model.Data
//	  data/container/
//	    ID|KEY                             data item of a container: model.Data
//	  index/children/
//	    PARENT|ID                          empty: layer ID has this parent
//	  index/layer-images/
//	    LAYER|ID                           empty: image ID has this top layer, mapped or not
//	  index/layer-containers/
//	    LAYER|ID                           empty: container ID has this layer of its own
//	  index/image-containers/
//	    IMAGE|ID                           empty: container ID was made from this image
//	  index/digest/diff/
//	    DIGEST|ID                          empty: layer ID has a diff with this digest
//	  index/digest/compressed/
//	    DIGEST|ID                          empty: layer ID was received as a blob with this digest
//	  index/digest/toc/
//	    DIGEST|ID                          empty: layer ID has a table of contents with this digest
//	  index/digest/image/
//	    DIGEST|ID                          empty: image ID can be found by this digest
//	  index/files/
//	    PATH                               KIND|ID|KEY of the data item in this content file; no KEY: a tar-split
//	  uses/
//	    ID                                 how much needs the layer: number
//	  trash/
//	    PATH                               content that is to be removed: Trash
//	  journal/
//	    NUMBER                             what a transaction did: JournalEntry
//	  apps/
//	    NAME/                              what an embedding program keeps here
//	      KEY                              any bytes
//	      NAME/                            a bucket within its bucket, with the same in it
//	  holds/
//	    KIND|ID|UUID                       the store UUID needs this object: Hold
//	  elsewhere/
//	    KIND|ID                            the object is in another store: Elsewhere
//	  prepared/
//	    TX                                 changes that another store decides on: Prepared
//	  decided/
//	    UUID                               last transaction that was decided on here for the store UUID: Decided
//	  runs/
//	    PATH                               the store has a volatile database in this run root: RunRoot
//
// The rules between them: each entry below names/ and index/ follows from one
// record or data item (links), which has all of its entries; uses/ has a count
// for each layer that is used, and for no other (uses.go); store/usage has the
// sums over all records; no path is in trash/ and in index/files/. A reference
// to an object that does not exist is allowed, since a deletion can be forced, and
// since the object may be in another store: then elsewhere/ says in which one, and
// there, if that can be written to, holds/ says who needs it. Check compares all
// this, but looks into one database only.
//
// The run database is the file csdb-run.db in the run root:
//
//	UUID/                                  of a store that uses the run root
//	  store/
//	    boot                               ID of the boot of the machine that the rest is about
//	  mounts/
//	    ID                                 where and how often a layer is mounted: Mount
//	  staged/
//	    PATH                               content that is not committed yet: Staged
//	  leases/
//	    ID                                 objects that are not to be deleted before it expires: Lease
//
// # Versions
//
// Version 1: the first one.
//
// Version 2: stores refer to objects in each other, and transactions go over
// several databases: holds/, elsewhere/, prepared/, decided/ and runs/. They are
// made, empty, in a database of version 1 that is opened for writing. One that can
// only be read is read as it is.
package db
