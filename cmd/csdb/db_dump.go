package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// dumpFormat is the version of the format of a dump.
const dumpFormat = 1

// dumpLine is a line of a dump: the head, a record, a bucket, what could not be
// read, or the end.
type dumpLine struct {
	Dump int `json:"csdb-dump,omitempty"` // head: version of the format

	// Bucket is the path of the bucket of a record, or of one of which Sequence
	// is set.
	Bucket   []octets `json:"bucket,omitempty"`
	Sequence *uint64  `json:"sequence,omitempty"`
	Key      octets   `json:"key,omitempty"`
	// Value is what the record means, and only for people; Damage is why that
	// cannot be told. Raw is what counts.
	Value  any    `json:"value,omitempty"`
	Damage string `json:"damage,omitempty"`
	Raw    []byte `json:"raw,omitempty"`

	Unread string `json:"unread,omitempty"`

	End *dumpEnd `json:"end,omitempty"`
}

// dumpEnd is what a dump ends with.
type dumpEnd struct {
	TxID    uint64 `json:"tx"`
	Records int    `json:"records"`
	Unread  int    `json:"unread"`
}

type dbDump struct{ look }

func (p *program) dbDumpCommand() *urfave.Command {
	o := &dbDump{}
	return p.command(urfave.Command{
		Name: "dump", Usage: "write all records as lines of JSON",
		Description: `
Writes every record that can be read, damaged ones too: its bucket, its key, its
value, and "raw", the bytes of the value in base64, with their checksum. A line
for each bucket, one for each page that could not be read, and one with the
number of records follow. "csdb db load" makes a database of it again.

Examples:

  csdb db dump >csdb.json
  csdb db dump | jq -c 'select(.bucket == ["v1", "names/image"]) | [.key, .value]'
  csdb db dump --file /backup/csdb-2026-01-31.db | grep '"damage"'`,
		Flags: o.flags(),
	}, arity{0, 0}, o)
}

func (o *dbDump) run(ctx context.Context, s *session, _ []string) error {
	out := bufio.NewWriter(s.Stdout)
	write := func(line *dumpLine) error { return json.NewEncoder(out).Encode(line) }
	if err := write(&dumpLine{Dump: dumpFormat}); err != nil {
		return err
	}
	records := 0
	steps := &steps{Env: s.Env, mute: s.StdoutIsTerminal()}
	defer steps.end()
	survey, err := o.survey(ctx, s, steps.start, func(r *db.Record) error {
		records++
		return write(dumpRecord(r))
	})
	if err != nil {
		return err
	}
	for _, b := range survey.Buckets {
		err = errors.Join(err, write(&dumpLine{Bucket: octetsOf(b.Path), Sequence: &b.Sequence}))
	}
	for _, p := range survey.Problems {
		err = errors.Join(err, write(&dumpLine{Unread: p.String()}))
	}
	last := max(survey.Metas[0].TxID, survey.Metas[1].TxID)
	err = errors.Join(err, write(&dumpLine{End: &dumpEnd{TxID: last, Records: records, Unread: len(survey.Problems)}}), out.Flush())
	return errors.Join(err, unread(survey))
}

func dumpRecord(r *db.Record) *dumpLine {
	line := &dumpLine{Bucket: octetsOf(r.Bucket), Key: octets(r.Key), Raw: r.Value}
	value, err := r.Decoded()
	if err != nil {
		line.Damage = err.Error()
		return line
	}
	line.Value = value
	if bytes, ok := value.([]byte); ok {
		line.Value = octets(bytes)
	}
	return line
}

type dbLoad struct{ partial bool }

func (p *program) dbLoadCommand() *urfave.Command {
	o := &dbLoad{}
	return p.command(urfave.Command{
		Name: "load", Usage: "make a database file of a dump", ArgsUsage: "DUMP FILE",
		Description: `
Makes the new database FILE of what "csdb db dump" has written to the file DUMP,
or "-" for the standard input. FILE must not exist; it gets its name when it is
complete and on disk. Then it is checked like by "csdb fsck FILE", and the exit
status is that of the check. "csdb restore FILE" puts it in place.

Of a dump of which something could not be read, or that does not reach its end,
a file is made only with --partial.

Examples:

  csdb db load csdb.json /tmp/new.db
  csdb db dump | grep -v 7001a1ff | csdb db load --partial - /tmp/without.db`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "partial", Usage: "accept a dump that is not complete", DisableDefaultText: true, Destination: &o.partial},
		},
	}, arity{2, 2}, o)
}

func (o *dbLoad) run(ctx context.Context, s *session, args []string) (err error) {
	if args[0] == "-" {
		args[0] = ""
	}
	in, err := s.OpenInput(ctx, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	loader, err := db.NewLoader(args[1])
	if err != nil {
		return err
	}
	defer loader.Discard()
	progress := s.StartProgress("reading", in.Size)
	txID, err := o.load(ctx, loader, progress.Reader(in))
	progress.End()
	if err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	if err := loader.Finish(ctx, txID); err != nil {
		return err
	}
	report, err := fsck.Check(ctx, fsck.Options{Database: args[1]})
	if err != nil {
		return fmt.Errorf("the file is there, but: %w", err)
	}
	if s.json {
		err = s.writeJSON(report)
	} else {
		s.writeReport(report)
	}
	if err != nil {
		return err
	}
	return ending(statusOf(report.Verdict))
}

// load reads a dump and returns the number of its last transaction.
func (o *dbLoad) load(ctx context.Context, loader *db.Loader, in io.Reader) (txID uint64, err error) {
	decoder := json.NewDecoder(in)
	var end *dumpEnd
	records, unread := 0, 0
	for n := 1; ; n++ {
		var line dumpLine
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n == 1 && line.Dump != dumpFormat {
			err = errors.New("not a dump, or one of another version of csdb")
		}
		if err == nil {
			err = errors.Join(context.Cause(ctx), loadLine(loader, &line))
		}
		if err != nil {
			return 0, fmt.Errorf("%w: line %d: %w", model.ErrInvalid, n, err)
		}
		switch {
		case line.End != nil:
			end = line.End
		case line.Unread != "":
			unread++
		case line.Key != nil:
			records++
		}
	}
	if end == nil {
		end = &dumpEnd{Records: -1}
	}
	if complete := end.Records == records && unread+end.Unread == 0; !complete && !o.partial {
		return 0, fmt.Errorf("%w: it is not complete: --partial makes a file of what is there", model.ErrInvalid)
	}
	return end.TxID, nil
}

func loadLine(loader *db.Loader, line *dumpLine) error {
	switch {
	case line.Sequence != nil:
		return loader.Bucket(stringsOf(line.Bucket), *line.Sequence)
	case line.Key != nil:
		return loader.Put(&db.Record{Bucket: stringsOf(line.Bucket), Key: line.Key, Value: line.Raw})
	}
	return nil
}
