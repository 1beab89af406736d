package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/csdb/csdb/db"
)

// text writes a snapshot for people.
func (v *snapshot) text() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	v.writeCommits(w)
	fmt.Fprintln(w)
	v.writeProcesses(w)
	fmt.Fprintln(w)
	v.writeWork(w)
	if len(v.Last) > 0 {
		fmt.Fprintln(w)
		v.writeLast(w)
	}
	_ = w.Flush() // it writes to memory
	lines := strings.Split(text.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func (v *snapshot) writeCommits(w *tabwriter.Writer) {
	fmt.Fprintf(w, "%s  store %s", v.Time.Local().Format(time.DateTime), clean(v.Root))
	if v.UUID != "" {
		fmt.Fprintf(w, " (%s)", clean(v.UUID))
	}
	fmt.Fprintln(w)
	switch {
	case !v.Recorded:
		fmt.Fprintln(w, "transactions: nothing is recorded")
		return
	case v.Commits.Count == 0:
		fmt.Fprintln(w, "no transaction in the last minute")
		return
	}
	fmt.Fprintf(w, "%s in the last minute, %.1f per second\n", plural(int64(v.Commits.Count), "transaction"), v.Commits.PerSecond)
	fmt.Fprintln(w, "\tMEDIAN\t95 %\tMAX")
	for _, line := range []struct {
		what string
		of   spread
	}{{"commit", v.Commits.Commit}, {"wait", v.Commits.Wait}, {"function", v.Commits.Function}} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", line.what, micro(line.of.Median), micro(line.of.P95), micro(line.of.Max))
	}
}

func (v *snapshot) writeProcesses(w *tabwriter.Writer) {
	if len(v.Processes) == 0 {
		fmt.Fprintln(w, "nobody uses the database at this moment, as far as can be seen")
		return
	}
	fmt.Fprintln(w, "PID\tSTATE\tMODE\tSEEN FOR\tCOMMAND")
	for _, p := range v.Processes {
		mode := p.Mode
		if mode == "" {
			mode = "-"
		}
		if p.Foreign {
			mode += ", foreign"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", p.PID, p.State, mode, micro(p.Seen), clean(p.Command))
	}
}

func (v *snapshot) writeWork(w *tabwriter.Writer) {
	switch {
	case v.WorkUnknown != "":
		fmt.Fprintf(w, "whether programs are at work on contents is not known: %s\n", clean(v.WorkUnknown))
	case len(v.Work) == 0:
		fmt.Fprintln(w, "no program is at work on contents")
	default:
		fmt.Fprintln(w, "AT WORK ON\tPROGRAM\tFOR")
		for _, e := range v.Work {
			fmt.Fprintf(w, "%s\t%s\t%s\n", clean(e.Path), author(&db.JournalEntry{Command: e.Command, PID: e.PID}), micro(v.Time.Sub(e.Since).Microseconds()))
		}
	}
}

func (v *snapshot) writeLast(w *tabwriter.Writer) {
	fmt.Fprintln(w, "TIME\tTX\tPROGRAM\tCOMMIT\tWAIT\tFUNCTION\tWRITTEN\tWHAT")
	for _, c := range v.Last {
		what := change(&db.Change{Op: c.Op, Kind: c.Kind, ID: c.ID})
		if c.Changes > 1 {
			what += " and " + plural(int64(c.Changes-1), "more change")
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Time.Local().Format(time.TimeOnly), c.TxID, author(&db.JournalEntry{Command: c.Command, PID: c.PID}),
			micro(c.Commit), micro(c.Wait), micro(c.Function), humanSize(c.Written), clean(what))
	}
}

// micro writes microseconds, with about three digits.
func micro(n int64) string {
	d := time.Duration(n) * time.Microsecond
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}
