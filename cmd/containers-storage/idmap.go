package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/userns"
	"github.com/csdb/csdb/model"
)

// mapping has the flags about the owners of files in a new layer.
type mapping struct {
	uid, gid side
	// etc is the directory of subuid(5) and subgid(5).
	etc string
}

// newMapping returns the flags with the files of the system.
func newMapping() mapping { return mapping{etc: "/etc"} }

// side is one half of a mapping: users or groups.
type side struct {
	host    bool
	triples string
	sub     string // whose subordinate IDs
}

func (m *mapping) flags() []urfave.Flag {
	return slices.Concat(m.uid.flags("uid", "user"), m.gid.flags("gid", "group"))
}

func (s *side) flags(id, whose string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.BoolFlag{Name: "host" + id + "map", Usage: "no " + id + " mapping", Destination: &s.host},
		&urfave.StringFlag{Name: id + "map", Usage: id + " mapping as container:host:size, may be continued with another colon", Destination: &s.triples},
		&urfave.StringFlag{Name: "sub" + id + "map", Usage: whose + " in /etc/sub" + id + " whose ranges make the " + id + " mapping", Destination: &s.sub},
	}
}

// check reports flags that make no sense, and mappings: owners are those of the
// host so far.
func (m *mapping) check() error {
	// One name serves for both if only one is given.
	uid, gid := m.uid, m.gid
	switch {
	case uid.sub == "":
		uid.sub = gid.sub
	case gid.sub == "":
		gid.sub = uid.sub
	}
	return errors.Join(uid.check("uid", filepath.Join(m.etc, "subuid")), gid.check("gid", filepath.Join(m.etc, "subgid")))
}

func (s side) check(id, subFile string) error {
	if s.host && (s.triples != "" || s.sub != "") {
		return fmt.Errorf("--host%[1]smap: %[2]w: it cannot be combined with --%[1]smap and --sub%[1]smap", id, model.ErrInvalid)
	}
	ranges, err := s.subordinate(subFile)
	if err != nil {
		return fmt.Errorf("--sub%smap: %w", id, err)
	}
	triples, err := parseTriples(s.triples)
	if err != nil {
		return fmt.Errorf("--%smap: %w", id, err)
	}
	maps := slices.Concat(ranges, triples)
	if err := model.ValidateIDMaps(maps); err != nil {
		return fmt.Errorf("%s mapping: %w", id, err)
	}
	if len(maps) == 0 || slices.Equal(maps, []model.IDMap{{Size: math.MaxUint32}}) {
		return nil
	}
	return fmt.Errorf("%s mapping other than the host's: %w", id, model.ErrUnsupported)
}

// subordinate returns the ranges that a file has for who is asked for; none if
// nobody is.
func (s side) subordinate(file string) ([]model.IDMap, error) {
	if s.sub == "" {
		return nil, nil
	}
	return userns.SubIDs(file, s.sub)
}

// tripleSize is the number of fields of a range.
const tripleSize = 3

// parseTriples reads ranges of the form container:host:size, joined by colons.
func parseTriples(text string) ([]model.IDMap, error) {
	if text == "" {
		return nil, nil
	}
	fields := strings.Split(text, ":")
	if len(fields)%tripleSize != 0 {
		return nil, fmt.Errorf("%w: %q is not made of ranges container:host:size", model.ErrInvalidMappings, text)
	}
	maps := make([]model.IDMap, 0, len(fields)/tripleSize)
	for triple := range slices.Chunk(fields, tripleSize) {
		var numbers [tripleSize]int
		for i, field := range triple {
			number, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%w: %q: %w", model.ErrInvalidMappings, text, err)
			}
			numbers[i] = int(number)
		}
		maps = append(maps, model.IDMap{ContainerID: numbers[0], HostID: numbers[1], Size: numbers[2]})
	}
	return maps, nil
}
