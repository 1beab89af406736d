package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// report has the figures of one run.
type report struct {
	Machine string `json:"machine"`
	Lines   []line `json:"lines"`
}

// line compares two figures.
type line struct {
	Case string `json:"case"`
	What string `json:"what"`
	// Ours and Theirs are in Unit; Than says what Theirs is.
	Ours   float64 `json:"ours"`
	Than   string  `json:"than"`
	Theirs float64 `json:"theirs"`
	Unit   string  `json:"unit"`
	// Ratio is Ours divided by Theirs. Goal is what it should at most be, or
	// 0 if there is none.
	Ratio float64 `json:"ratio"`
	Goal  float64 `json:"goal,omitempty"`
}

func (r *report) describe(dir string) {
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	r.Machine = fmt.Sprintf("%d CPUs, Linux %s, %s, in %s", runtime.NumCPU(), unix.ByteSliceToString(uts.Release[:]), runtime.Version(), dir)
}

func (r *report) add(name, what string, ours float64, than string, theirs float64, unit string, goal float64) {
	r.Lines = append(r.Lines, line{Case: name, What: what, Ours: ours, Than: than, Theirs: theirs, Unit: unit, Ratio: ours / theirs, Goal: goal})
}

func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\twhat\tcsdb\tcompared with\t\tratio\tgoal")
	for _, l := range r.Lines {
		goal := ""
		if l.Goal > 0 {
			verdict := "met"
			if l.Ratio > l.Goal {
				verdict = "MISSED"
			}
			goal = fmt.Sprintf("<= %.2g %s", l.Goal, verdict)
		}
		fmt.Fprintf(t, "%s\t%s\t%.3g %s\t%s\t%.3g %s\t%.2f\t%s\n", l.Case, l.What, l.Ours, l.Unit, l.Than, l.Theirs, l.Unit, l.Ratio, goal)
	}
	_ = t.Flush()
}

// median returns the middle one of durations in milliseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}

// subject is something to be measured.
type subject struct {
	op   func() error // what is measured
	undo func() error // runs after each op and is not measured
	end  func() error // runs at the end
}

// measureInTurns runs each subject n times, one after the other in each turn and
// in the opposite order in the next one, and returns their medians in
// milliseconds.
func measureInTurns(n int, subjects ...subject) ([]float64, error) {
	all := make([][]time.Duration, len(subjects))
	for turn := range n {
		for i := range subjects {
			if turn%2 == 1 {
				i = len(subjects) - 1 - i
			}
			s := subjects[i]
			start := time.Now()
			if err := s.op(); err != nil {
				return nil, err
			}
			all[i] = append(all[i], time.Since(start))
			if err := s.undo(); err != nil {
				return nil, err
			}
		}
	}
	medians := make([]float64, len(subjects))
	for i, times := range all {
		medians[i] = median(times)
	}
	return medians, nil
}

// progress tells what is being done, for somebody who waits.
func progress(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "  "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}
