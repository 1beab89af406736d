package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/storage"

	"github.com/csdb/csdb/model"
)

// openPeer opens a store of containers/storage.
func openPeer(dir string) (storage.Store, error) {
	return storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), GraphDriverName: "overlay",
	})
}

// multiply fills a record file of containers/storage: the records that are
// there are repeated under new IDs, and under new names if they have one, until
// there are n. Making so many through its interface takes hours. Only the
// records matter for what is measured.
func multiply(path string, n int) (names []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var records []map[string]any
	if err := json.Unmarshal(text, &records); err != nil {
		return nil, err
	}
	first := records[len(records)-1]
	for i := len(records); i < n; i++ {
		record := make(map[string]any, len(first))
		for key, value := range first {
			record[key] = value
		}
		record["id"] = string(model.NewLayerID())
		if _, named := first["names"]; named {
			name := fmt.Sprintf("registry.example.com/image:%d", i)
			record["names"] = []string{name}
			names = append(names, name)
		}
		records = append(records, record)
	}
	if text, err = json.Marshal(records); err != nil {
		return nil, err
	}
	return names, os.WriteFile(path, text, 0o600)
}
