package db

import (
	"bytes"
	"testing"

	"github.com/csdb/csdb/model"
)

// FuzzDecodeRecord decodes any bytes as a record of each type. What can be
// decoded must survive being encoded and decoded again.
func FuzzDecodeRecord(f *testing.F) {
	for _, value := range goldenValues(f) {
		f.Add(value[valueHeader:])
	}
	f.Add([]byte{0xbf, 0xff})                         // a map without a length
	f.Add([]byte{0x9b, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}) // a list of absurd length
	f.Add(bytes.Repeat([]byte{0x81}, 100))            // a list in a list in a list
	f.Fuzz(func(t *testing.T, content []byte) {
		fuzzDecode(t, layers.table, content)
		fuzzDecode(t, images.table, content)
		fuzzDecode(t, containers.table, content)
		fuzzDecode(t, dataItems(model.KindLayer), content)
		fuzzDecode(t, trash, content)
		fuzzDecode(t, journal, content)
		fuzzDecode(t, infos, content)
		fuzzDecode(t, usages, content)
		fuzzDecode(t, uses, content)
		fuzzDecode(t, linkValues(bucketImageNames), content)
		fuzzDecode(t, mounts, content)
		fuzzDecode(t, staged, content)
		// As a value that nobody has sealed.
		_, _ = layers.decode([]byte("key"), content)
	})
}

func fuzzDecode[T any](t *testing.T, in table[T], content []byte) {
	t.Helper()
	key := []byte("key")
	record, err := in.decode(key, seal(in.name, key, content))
	if err != nil {
		return
	}
	once, err := encoding.Marshal(record)
	if err != nil {
		t.Fatalf("%+v cannot be encoded: %v", record, err)
	}
	again, err := in.decode(key, seal(in.name, key, once))
	if err != nil {
		t.Fatalf("%+v cannot be decoded again: %v", record, err)
	}
	twice, err := encoding.Marshal(again)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%+v has become %+v (%v)", record, again, err)
	}
}
