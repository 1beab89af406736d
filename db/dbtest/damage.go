package dbtest

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// What follows changes a database behind the back of package db, for tests of
// what becomes of that. Nobody may have the file open. Buckets have the names
// that they have in the package comment of db, below v1.

// Delete removes a key of a bucket.
func Delete(t testing.TB, path, bucket, key string) {
	t.Helper()
	change(t, path, bucket, func(b *bolt.Bucket) error { return b.Delete([]byte(key)) })
}

// Put stores a value as it is.
func Put(t testing.TB, path, bucket, key string, value []byte) {
	t.Helper()
	change(t, path, bucket, func(b *bolt.Bucket) error { return b.Put([]byte(key), value) })
}

// Get returns a value as it is.
func Get(t testing.TB, path, bucket, key string) (value []byte) {
	t.Helper()
	change(t, path, bucket, func(b *bolt.Bucket) error {
		value = append(value, b.Get([]byte(key))...)
		return nil
	})
	return value
}

// FlipBit changes the lowest bit of the last byte of a value.
func FlipBit(t testing.TB, path, bucket, key string) {
	t.Helper()
	value := Get(t, path, bucket, key)
	if len(value) == 0 {
		t.Fatalf("%s: %s/%s has no value", path, bucket, key)
	}
	value[len(value)-1] ^= 1
	Put(t, path, bucket, key, value)
}

// RemoveBucket removes a bucket with all that is in it.
func RemoveBucket(t testing.TB, path, bucket string) {
	t.Helper()
	raw(t, path, "v1", func(root *bolt.Bucket) error { return root.DeleteBucket([]byte(bucket)) })
}

// PutRun is Put for what the run database has of the store with a UUID.
func PutRun(t testing.TB, path, uuid, bucket, key string, value []byte) {
	t.Helper()
	raw(t, path, uuid, func(root *bolt.Bucket) error { return root.Bucket([]byte(bucket)).Put([]byte(key), value) })
}

// RemoveRunBucket is RemoveBucket for what the run database has of the store
// with a UUID.
func RemoveRunBucket(t testing.TB, path, uuid, bucket string) {
	t.Helper()
	raw(t, path, uuid, func(root *bolt.Bucket) error { return root.DeleteBucket([]byte(bucket)) })
}

func change(t testing.TB, path, bucket string, fn func(*bolt.Bucket) error) {
	t.Helper()
	raw(t, path, "v1", func(root *bolt.Bucket) error { return fn(root.Bucket([]byte(bucket))) })
}

// raw runs fn with a bucket in a transaction of bbolt.
func raw(t testing.TB, path, bucket string, fn func(root *bolt.Bucket) error) {
	t.Helper()
	database, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = database.Update(func(tx *bolt.Tx) error { return fn(tx.Bucket([]byte(bucket))) })
	if err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
}

// Rewrite changes the content of a value and gives it the checksum that belongs
// to it, see the description of values in codec.go.
func Rewrite(t testing.TB, path, bucket, key string, edit func(content []byte) []byte) {
	t.Helper()
	const header = 5
	value := Get(t, path, bucket, key)
	if len(value) < header {
		t.Fatalf("%s: %s/%s has no value", path, bucket, key)
	}
	format, content := value[0], edit(value[header:])
	covered := slices.Concat([]byte(bucket), []byte{0}, []byte(key), []byte{0, format}, content)
	sum := crc32.Checksum(covered, crc32.MakeTable(crc32.Castagnoli))
	Put(t, path, bucket, key, append(binary.LittleEndian.AppendUint32([]byte{format}, sum), content...))
}
