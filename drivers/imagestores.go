package drivers

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// imageStoreKeys are the options of drivers that name other stores.
var imageStoreKeys = []string{"imagestore", "additionalimagestore"}

// ImageStores takes the options out of those of a driver that name the graph roots
// of other stores whose layers it is to find, too: "overlay.imagestore=/a,/b", with
// the driver's name, one of its aliases or nothing before the dot. It returns the
// roots, each once, and the other options. A root that is not an absolute path is
// an error that matches model.ErrInvalid.
func (e Entry) ImageStores(options []string) (roots, rest []string, err error) {
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		if !e.namesImageStores(strings.ToLower(strings.TrimSpace(key))) {
			rest = append(rest, option)
			continue
		}
		for root := range strings.SplitSeq(value, ",") {
			root = strings.TrimSpace(root)
			switch {
			case root == "":
			case !filepath.IsAbs(root):
				err = errors.Join(err, fmt.Errorf("option %q: %w: %q is not an absolute path", option, model.ErrInvalid, root))
			case !slices.Contains(roots, filepath.Clean(root)):
				roots = append(roots, filepath.Clean(root))
			}
		}
	}
	return roots, rest, err
}

// namesImageStores tells whether a key is that of such an option of the driver.
func (e Entry) namesImageStores(key string) bool {
	prefix, name, dotted := strings.Cut(key, ".")
	if !dotted {
		return slices.Contains(imageStoreKeys, key)
	}
	return slices.Contains(imageStoreKeys, name) && (prefix == "" || prefix == e.Name || slices.Contains(e.Aliases, prefix))
}
