package userns

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/csdb/csdb/model"
)

// SubIDs returns the ranges that a file of the form of subuid(5) or subgid(5)
// has for an owner, who may be known by several names, one after the other as
// seen in the container. If it has none the error matches model.ErrNotFound.
func SubIDs(path string, names ...string) (maps []model.IDMap, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	next := 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		owner, ranges, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		first, count, _ := strings.Cut(ranges, ":")
		start, errStart := strconv.ParseUint(first, 10, 32)
		size, errSize := strconv.ParseUint(count, 10, 32)
		if !slices.Contains(names, owner) || errStart != nil || errSize != nil {
			continue
		}
		maps = append(maps, model.IDMap{ContainerID: next, HostID: int(start), Size: int(size)})
		next += int(size)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(maps) == 0 {
		return nil, fmt.Errorf("%s: %w: no ranges for %q", path, model.ErrNotFound, names[0])
	}
	return maps, nil
}
