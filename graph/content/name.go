package content

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"path"
	"strings"

	"github.com/csdb/csdb/model"
)

// Area returns the directory of the content files of all objects of a kind,
// such as "overlay-images".
func Area(driver string, kind model.Kind) string { return driver + "-" + string(kind) + "s" }

// DataPath returns the path of the first version of a data item.
func DataPath(driver string, kind model.Kind, id, key string) string {
	return path.Join(Area(driver, kind), id, FileName(key))
}

// TarSplitPath returns the path of the first tar-split of a layer.
func TarSplitPath(driver string, id model.LayerID) string {
	return path.Join(Area(driver, model.KindLayer), string(id)+TarSplitSuffix)
}

// TarSplitSuffix ends the name of a tar-split.
const TarSplitSuffix = ".tar-split.gz"

// UserDirName is the name of the directory, beside an object's content files,
// whose contents belong to whoever uses the store.
const UserDirName = "userdata"

// UserDir returns the path of that directory of an object.
func UserDir(driver string, kind model.Kind, id string) string {
	return path.Join(Area(driver, kind), id, UserDirName)
}

// KeyOf returns the key of the data item that a content file is a version of,
// from its path, as far as the name tells.
func KeyOf(name string) (key string, ok bool) {
	first, _, _ := strings.Cut(path.Base(name), versionSeparator)
	encoded, escaped := strings.CutPrefix(first, escapeMark)
	if !escaped {
		key = first
	} else if decoded, err := base64.RawURLEncoding.DecodeString(encoded); err == nil {
		key = string(decoded)
	}
	return key, key != "" && FileName(key) == first
}

// versionSeparator stands between the path of the first version of an item and
// what tells later ones from it. No name made by FileName contains it.
const versionSeparator = "~"

// OtherVersion returns a path beside that of the first version, a different
// one each time.
func OtherVersion(first string) string {
	return first + versionSeparator + strings.ToLower(rand.Text()[:versionSize])
}

const versionSize = 16

const (
	// plainChars may be used in a file name as they are.
	plainChars = ".0123456789abcdefghijklmnopqrstuvwxyz"
	// maxFileName leaves room below NAME_MAX for what is put around a name.
	maxFileName = 200
	// escapeMark begins the name of a key that is not usable as it is.
	escapeMark = "="
)

// FileName returns the file name for the data item key. A key made of
// lower-case letters, digits and dots that does not begin with a dot is its own
// name, and that of the directory UserDirName excepted. Any other key is written
// as "=" and its base64 form for URLs (RFC 4648 section 5, without padding), and
// one for which that would be too long as "==" and its SHA-256 in hexadecimal.
func FileName(key string) string {
	if key != "" && key[0] != '.' && key != UserDirName && len(key) <= maxFileName && strings.Trim(key, plainChars) == "" {
		return key
	}
	name := escapeMark + base64.RawURLEncoding.EncodeToString([]byte(key))
	if len(name) > maxFileName {
		sum := sha256.Sum256([]byte(key))
		name = escapeMark + escapeMark + hex.EncodeToString(sum[:])
	}
	return name
}
