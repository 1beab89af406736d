package model_test

import (
	"errors"
	"math"
	"testing"

	"github.com/csdb/csdb/model"
)

func TestValidateIDMaps(t *testing.T) {
	for _, c := range []struct {
		name  string
		maps  []model.IDMap
		valid bool
	}{
		{"none", nil, true},
		{"identity of all IDs", []model.IDMap{{0, 0, math.MaxUint32}}, true},
		{"up to the last ID", []model.IDMap{{0, math.MaxUint32, 1}}, true},
		{"side by side", []model.IDMap{{0, 1000, 1}, {1, 100_000, 65_536}, {65_537, 165_536, 10}}, true},
		{"in any order", []model.IDMap{{10, 0, 10}, {0, 10, 10}}, true},
		{"empty range", []model.IDMap{{0, 0, 0}}, false},
		{"negative size", []model.IDMap{{0, 0, -1}}, false},
		{"negative ID inside", []model.IDMap{{-1, 0, 1}}, false},
		{"negative ID outside", []model.IDMap{{0, -1, 1}}, false},
		{"beyond the last ID inside", []model.IDMap{{math.MaxUint32, 0, 2}}, false},
		{"beyond the last ID outside", []model.IDMap{{0, math.MaxUint32, 2}}, false},
		{"overflow", []model.IDMap{{math.MaxInt, 0, math.MaxInt}}, false},
		{"overlap inside", []model.IDMap{{0, 0, 10}, {9, 100, 10}}, false},
		{"overlap outside", []model.IDMap{{0, 0, 10}, {100, 9, 10}}, false},
		{"overlap with one before the last", []model.IDMap{{0, 0, 10}, {20, 20, 10}, {5, 40, 1}}, false},
		{"one within the other", []model.IDMap{{5, 105, 1}, {0, 0, 10}}, false},
		{"twice the same", []model.IDMap{{0, 0, 1}, {0, 0, 1}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := model.ValidateIDMaps(c.maps)
			if (err == nil) != c.valid {
				t.Fatalf("%v: %v", c.maps, err)
			}
			if err != nil && (!errors.Is(err, model.ErrInvalidMappings) || !errors.Is(err, model.ErrInvalid)) {
				t.Errorf("wrong class: %v", err)
			}
		})
	}
}
