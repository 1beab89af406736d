package overlay

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// link is the short name of a layer: the name of a symbolic link in linkDir to
// the layer's content. Short names let many lower directories fit into the one
// page that mount(2) takes.
type link string

const (
	// linkDir is the directory of the short names in the home.
	linkDir = "l"
	// linkSize is the length of a short name.
	linkSize = 26
	// linkAlphabet is that of base32 (RFC 4648, section 6).
	linkAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	// maxLower is the greatest length of a lower file. It is far more than
	// what can be mounted, but not without limit.
	maxLower = 1 << 20
)

// errNoLink means that a layer's short name is not written down in its
// directory, or does not exist in linkDir: something that can be mended.
var errNoLink = fmt.Errorf("%w: short name is missing", model.ErrCorrupt)

func newLink() link { return link(rand.Text()[:linkSize]) }

// spareLink returns the short name for a layer whose own is lost. Everybody
// finds the same one, whether he looks for the layer's or for that of a layer
// below another one.
func spareLink(id string) link {
	sum := sha256.Sum256([]byte(id))
	return link(base32.StdEncoding.EncodeToString(sum[:])[:linkSize])
}

// parseLink returns text as a short name. Nothing else is ever looked up.
func parseLink(text string) (link, error) {
	if len(text) != linkSize || strings.Trim(text, linkAlphabet) != "" {
		return "", fmt.Errorf("%w: %.40q is not a short name of a layer", model.ErrCorrupt, text)
	}
	return link(text), nil
}

// path returns the short name as a path in the home.
func (l link) path() string { return linkDir + "/" + string(l) }

// linkTarget returns what the short name of a layer points to.
func linkTarget(id string) string { return "../" + id + "/" + contentDir }

// readTarget returns the layer that has the short name; links is linkDir.
func readTarget(links *at.Dir, name link) (id string, err error) {
	target, err := links.Target(string(name), len(linkTarget(""))+unix.NAME_MAX)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", errNoLink, err)
	}
	if err != nil {
		return "", err
	}
	id = strings.TrimSuffix(strings.TrimPrefix(target, "../"), "/"+contentDir)
	if drivers.CheckLayer(id) != nil || target != linkTarget(id) {
		return "", fmt.Errorf("%w: %s points to %q and not to a layer", model.ErrCorrupt, links.Path(string(name)), target)
	}
	return id, nil
}

// readLink returns the short name that is written down in a layer's directory.
// An empty file is what a power cut leaves; it counts as a missing one.
func readLink(layer *at.Dir) (link, error) {
	text, err := layer.ReadFile(linkFile, linkSize)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return "", fmt.Errorf("%w: %s", errNoLink, layer.Path(linkFile))
	}
	if err != nil {
		return "", err
	}
	name, err := parseLink(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", layer.Path(linkFile), err)
	}
	return name, nil
}

// readLower returns the short names of a layer's ancestors, nearest first; a
// base layer has none.
func readLower(layer *at.Dir) ([]link, error) {
	text, err := layer.ReadFile(lowerFile, maxLower)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := parseLower(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layer.Path(lowerFile), err)
	}
	return names, nil
}

// parseLower returns the short names that a lower file lists. There is at
// least one: an empty file is damaged, for a base layer has none at all.
func parseLower(text string) ([]link, error) {
	fields := strings.Split(text, ":")
	names := make([]link, len(fields))
	for i, field := range fields {
		base, found := strings.CutPrefix(field, linkDir+"/")
		if !found {
			return nil, fmt.Errorf("%w: %.40q is not a short name of a layer", model.ErrCorrupt, field)
		}
		name, err := parseLink(base)
		if err != nil {
			return nil, err
		}
		names[i] = name
	}
	return names, nil
}

// formatLower is the reverse of parseLower.
func formatLower(names []link) string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = name.path()
	}
	return strings.Join(paths, ":")
}
