package content_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

func TestPathsAreThoseThatPeopleLookFor(t *testing.T) {
	for got, want := range map[string]string{
		content.Area("overlay", model.KindImage):                                         "overlay-images",
		content.DataPath("overlay", model.KindImage, "id", "manifest"):                   "overlay-images/id/manifest",
		content.DataPath("vfs", model.KindContainer, "id", "a.b0"):                       "vfs-containers/id/a.b0",
		content.DataPath("vfs", model.KindLayer, "id", "sha256:ab"):                      "vfs-layers/id/=c2hhMjU2OmFi",
		content.TarSplitPath("vfs", "id"):                                                "vfs-layers/id.tar-split.gz",
		content.UserDir("vfs", model.KindContainer, "id"):                                "vfs-containers/id/userdata",
		content.FileName("userdata"):                                                     "=dXNlcmRhdGE",
		content.FileName("????"):                                                         "=Pz8_Pw",
		content.FileName(""):                                                             "=",
		content.FileName(strings.Repeat("a", 200)):                                       strings.Repeat("a", 200),
		content.FileName(".."):                                                           "=Li4",
		content.FileName("aB"):                                                           "=YUI",
		content.FileName(strings.Repeat("a", 201))[:6]:                                   "==a92e",
		content.FileName(strings.Repeat("A", 1000))[:2]:                                  "==",
		strings.TrimRight(content.OtherVersion("x"), "abcdefghijklmnopqrstuvwxyz234567"): "x~",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A key becomes a plain name of moderate length, no two keys the same one, and
// none one that stands for something else in the directory.
func TestFileNames(t *testing.T) {
	keys := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[.a-z0-9=~/]{0,12}`),
		rapid.StringN(150, 400, -1),
		rapid.SampledFrom([]string{".", "..", "userdata", ".tmp-x", "=", "==", "=x", "x~y"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b := keys.Draw(t, "a"), keys.Draw(t, "b")
		name := content.FileName(a)
		if name == "" || name == "userdata" || len(name) > 200 || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/~\x00") {
			t.Fatalf("key %q becomes %q", a, name)
		}
		if (a == b) != (name == content.FileName(b)) {
			t.Fatalf("keys %q and %q become %q and %q", a, b, name, content.FileName(b))
		}
		if version := content.OtherVersion("dir/" + name); len(version) > 4+255 || version == content.OtherVersion("dir/"+name) {
			t.Fatalf("version is %q", version)
		}
	})
}

// The key can be told from the name, unless that is a hash of it.
func TestKeysCanBeReadFromNames(t *testing.T) {
	keys := rapid.OneOf(rapid.StringN(1, 100, -1), rapid.StringMatching(`[.a-z0-9=~/]{1,12}`))
	rapid.Check(t, func(t *rapid.T) {
		key := keys.Draw(t, "key")
		name := "dir/" + content.FileName(key)
		for _, name := range []string{name, content.OtherVersion(name)} {
			got, ok := content.KeyOf(name)
			if hashed := strings.HasPrefix(name, "dir/=="); ok == hashed || ok && got != key {
				t.Fatalf("key %q became %q and then %q (%v)", key, name, got, ok)
			}
		}
	})
	for _, name := range []string{"", ".", ".hidden", "userdata", "=", "=!", "UPPER", "=YQ", "=" + "Zm9v=="} {
		if key, ok := content.KeyOf(name); ok {
			t.Errorf("%q is said to be the name of %q", name, key)
		}
	}
}
