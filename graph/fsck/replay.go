package fsck

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// Replay writes the diff of a layer, put together from its tar-split and its
// files, without its driver. A file that differs ends it with an error that
// matches model.ErrCorrupt, see tarsplit.Replay.
func Replay(ctx context.Context, w io.Writer, files *content.Files, split model.Content, home drivers.Inspector, layer drivers.InspectedLayer) (err error) {
	file, err := files.Open(split)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines, err := tarsplit.Decompress(bufio.NewReader(file))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lines.Close()) }()
	own, err := home.Content(ctx, layer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	return tarsplit.Replay(ctx, w, lines, own)
}
