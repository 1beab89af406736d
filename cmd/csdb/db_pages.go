package main

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
)

type dbPages struct{ look }

func (p *program) dbPagesCommand() *urfave.Command {
	o := &dbPages{}
	return p.command(urfave.Command{
		Name: "pages", Usage: "list the pages that are in use",
		Description: `
Lists the pages that hold something: their number, how many more they flow over
into, their kind, how many keys they have, how full they are, and the bucket
that they belong to. A bucket without pages lies in one of the bucket that it
is in.

Examples:

  csdb db pages
  csdb db pages --json | jq 'map(select(.kind == "leaf")) | length'`,
		Flags: o.flags(),
	}, arity{0, 0}, o)
}

// pageValue is a page in JSON. Sizes are in bytes.
type pageValue struct {
	ID       uint64   `json:"page"`
	Overflow uint32   `json:"overflow"`
	Kind     string   `json:"kind"`
	Count    int      `json:"count"`
	Used     int64    `json:"used"`
	Size     int64    `json:"size"`
	Bucket   []octets `json:"bucket,omitempty"`
}

func (o *dbPages) run(ctx context.Context, s *session, _ []string) error {
	survey, err := o.survey(ctx, s, nil, nil)
	if err != nil {
		return err
	}
	values := []pageValue{}
	for _, p := range survey.Pages {
		values = append(values, pageValue{
			ID: p.ID, Overflow: p.Overflow, Kind: p.Kind, Count: p.Count, Used: p.Used,
			Size: (int64(p.Overflow) + 1) * int64(survey.PageSize), Bucket: octetsOf(p.Bucket),
		})
	}
	if s.json {
		return errors.Join(s.writeJSON(values), unread(survey))
	}
	w := s.table()
	fmt.Fprintln(w, "PAGE\tMORE\tKIND\tCOUNT\tFULL\tBUCKET")
	for i, v := range values {
		fmt.Fprintf(w, "%d\t%d\t%s\t%d\t%s\t%s\n", v.ID, v.Overflow, v.Kind, v.Count, percent(v.Used, v.Size), bucketName(survey.Pages[i].Bucket))
	}
	return errors.Join(w.Flush(), unread(survey))
}

// percent writes a part as a percentage.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", part*100/whole)
}

type dbStats struct{ look }

func (p *program) dbStatsCommand() *urfave.Command {
	o := &dbStats{}
	return p.command(urfave.Command{
		Name: "stats", Usage: "show what takes how much of the file",
		Description: `
Shows both meta pages, how many pages there are and how many of them hold
nothing, and for each bucket its keys, the sizes of keys and values, its pages
and how full these are. A file of which most is free becomes smaller by "csdb
compact".

Examples:

  csdb db stats
  csdb db stats --json | jq .metas`,
		Flags: o.flags(),
	}, arity{0, 0}, o)
}

// statsValue is what stats shows. Sizes are in bytes.
type statsValue struct {
	Size     int64         `json:"size"`
	PageSize int           `json:"page-size"`
	Pages    uint64        `json:"pages"`
	Free     int           `json:"free"`
	Metas    []metaValue   `json:"metas"`
	Buckets  []bucketValue `json:"buckets"`
}

// metaValue is a meta page.
type metaValue struct {
	TxID     uint64 `json:"tx"`
	Root     uint64 `json:"root"`
	Freelist uint64 `json:"freelist"`
	Pages    uint64 `json:"pages"`
	Error    string `json:"error,omitempty"`
}

func statsOf(survey *db.Survey) *statsValue {
	v := &statsValue{Size: survey.Size, PageSize: survey.PageSize, Free: survey.Free, Buckets: bucketValues(survey)}
	newest := uint64(0)
	for _, m := range survey.Metas {
		value := metaValue{TxID: m.TxID, Root: m.Root, Freelist: m.Freelist, Pages: m.Pages}
		if m.Err != nil {
			value = metaValue{Error: m.Err.Error()}
		} else if m.TxID >= newest {
			newest, v.Pages = m.TxID, m.Pages
		}
		v.Metas = append(v.Metas, value)
	}
	return v
}

func (o *dbStats) run(ctx context.Context, s *session, _ []string) error {
	survey, err := o.survey(ctx, s, nil, nil)
	if err != nil {
		return err
	}
	v := statsOf(survey)
	if s.json {
		return errors.Join(s.writeJSON(v), unread(survey))
	}
	fmt.Fprintf(s.Stdout, "%s, %d pages of %d bytes, %d of them free\n", humanSize(v.Size), v.Pages, v.PageSize, v.Free)
	for i, m := range v.Metas {
		if m.Error != "" {
			fmt.Fprintf(s.Stdout, "meta page %d: %s\n", i, m.Error)
			continue
		}
		fmt.Fprintf(s.Stdout, "meta page %d: transaction %d, root page %d, freelist page %d\n", i, m.TxID, m.Root, m.Freelist)
	}
	w := s.table()
	fmt.Fprintln(w, "\nBUCKET\tKEYS\tOF KEYS\tOF VALUES\tBRANCHES\tLEAVES\tFULL")
	for i, b := range v.Buckets {
		full := percent(b.KeyBytes+b.ValueBytes, b.PageBytes)
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%d\t%s\n", bucketName(survey.Buckets[i].Path), b.Keys,
			humanSize(b.KeyBytes), humanSize(b.ValueBytes), b.Branches, b.Leaves, full)
	}
	return errors.Join(w.Flush(), unread(survey))
}
