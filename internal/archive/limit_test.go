package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

func TestUnpackLimitsTheContent(t *testing.T) {
	sparse := rawSparse("s", "1000000", "0,1", "x")
	for name, test := range map[string]struct {
		stream []byte
		limit  int64
		want   error
	}{
		"no limit":          {sparse, 0, nil},
		"sparse, at limit":  {sparse, 1_000_000, nil},
		"sparse, beyond":    {sparse, 999_999, model.ErrInvalid},
		"several, at limit": {withoutEnd(file("a", "12345"), file("b", "67890")), 10, nil},
		"several, beyond":   {withoutEnd(file("a", "12345"), file("b", "678901")), 10, model.ErrInvalid},
		"links count once":  {withoutEnd(file("a", "1234567890"), hardLink("b", "a"), file("c", "")), 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			stream := slices.Concat(test.stream, make([]byte, 1024))
			opts := modest(archive.UnpackOptions{MaxSize: test.limit})
			done, err := archive.Unpack(t.Context(), t.TempDir(), tar.NewReader(bytes.NewReader(stream)), opts)
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), "limit of") {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if test.limit > 0 && done.Size > test.limit {
				t.Errorf("%d bytes were unpacked", done.Size)
			}
		})
	}
}
