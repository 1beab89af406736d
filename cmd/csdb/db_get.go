package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

type dbGet struct {
	look

	raw bool
}

func (p *program) dbGetCommand() *urfave.Command {
	o := &dbGet{}
	return p.command(urfave.Command{
		Name: "get", Usage: "show the value of a key", ArgsUsage: "BUCKET KEY",
		Description: `
Shows a value as JSON, or with --raw as it stands in the file, with its checksum.
The bucket is named by its path below v1. In a key of several parts, "|" stands
for the NUL byte between them, and a number for a key that is one.

Examples:

  csdb db get store info
  csdb db get layers 1a7e02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
  csdb db get names/image docker.io/library/app:1
  csdb db get journal 17
  csdb db get --raw store usage | xxd`,
		Flags: append(o.flags(), &urfave.BoolFlag{Name: "raw", Usage: "write the bytes of the value", DisableDefaultText: true, Destination: &o.raw}),
	}, arity{2, 2}, o)
}

func (o *dbGet) run(ctx context.Context, s *session, args []string) error {
	var found *db.Record
	survey, err := o.survey(ctx, s, nil, func(r *db.Record) error {
		if matches(r, args[0], args[1]) {
			found = r.Clone()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found == nil {
		return errors.Join(fmt.Errorf("bucket %s, key %q: %w", args[0], args[1], model.ErrNotFound), unread(survey))
	}
	if o.raw {
		_, err := s.Stdout.Write(found.Value)
		return err
	}
	value, err := found.Decoded()
	if err != nil {
		return err
	}
	if bytes, ok := value.([]byte); ok {
		value = octets(bytes)
	}
	if s.json {
		return s.writeJSON(value)
	}
	return s.writePretty(value)
}

// matches tells whether a record is the one that a bucket and a key name.
func matches(r *db.Record, bucket, key string) bool {
	if len(r.Bucket) < 2 || strings.Join(r.Bucket[1:], "/") != bucket {
		return false
	}
	if string(r.Key) == key || string(r.Key) == strings.ReplaceAll(key, "|", "\x00") {
		return true
	}
	number, err := strconv.ParseUint(key, 10, 64)
	return err == nil && len(r.Key) == 8 && binary.BigEndian.Uint64(r.Key) == number
}
