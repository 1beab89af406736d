package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/csdb/csdb/cmd/csdb/page"
	"github.com/csdb/csdb/graph/fsck"
)

// writeReport writes a report for people: each finding with all that it says,
// and a summary at the end.
func (s *session) writeReport(r *fsck.Report) {
	for i := range r.Findings {
		s.writeFinding(&r.Findings[i])
	}
	for _, what := range r.Unchecked {
		fmt.Fprintf(s.Stdout, "unchecked   %s\n", clean(what))
	}
	fmt.Fprintf(s.Stdout, "%s\n", extent(r, "\n"))
	fmt.Fprintf(s.Stdout, "%s: %d damaged, %d repairable, %d for information\n",
		r.Verdict, r.Count(fsck.Damage), r.Count(fsck.Repairable), r.Count(fsck.Info))
}

// extent says what was looked at.
func extent(r *fsck.Report, separator string) string {
	c := &r.Checked
	text := fmt.Sprintf("checked %s to the depth %s: %s, %s, %s, %s, %s of layers", r.Database, r.Depth,
		plural(int64(c.Layers), "layer"), plural(int64(c.Images), "image"), plural(int64(c.Containers), "container"),
		plural(int64(c.Files), "file"), many(c.Directories, "directory", "directories"))
	if r.Depth == fsck.Contents {
		text += fmt.Sprintf("%sread %s: %s", separator, plural(int64(c.Contents), "content"), humanSize(c.Bytes))
	}
	return text
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// maxShown is how many images and containers of a finding are shown.
const maxShown = 8

func (s *session) writeFinding(f *fsck.Finding) {
	fmt.Fprintf(s.Stdout, "%-11s %s%s\n", f.Severity, f.Code, clean(subject(f.Object)))
	for _, line := range findingLines(f) {
		fmt.Fprintf(s.Stdout, "  %-9s %s\n", line.Name, line.Text)
	}
	fmt.Fprintln(s.Stdout)
}

// findingLines is what there is to say about a finding.
func findingLines(f *fsck.Finding) (lines []page.Line) {
	line := func(name, text string) {
		if text != "" {
			lines = append(lines, page.Line{Name: name, Text: clean(text)})
		}
	}
	line("place", place(f))
	line("expected", f.Expected)
	line("found", f.Found)
	for i, file := range f.Files {
		if i == maxShown {
			line("", fmt.Sprintf("%d more", len(f.Files)-i))
			break
		}
		line("", strconv.Quote(file.Path)+": "+file.Found)
	}
	line("effect", f.Effect)
	line("affects", affected(f))
	for i, remedy := range f.Remedies {
		name := ""
		if i == 0 {
			name = "remedy"
		} else {
			remedy = "or " + remedy
		}
		line(name, remedy)
	}
	return lines
}

// place says where a finding was found.
func place(f *fsck.Finding) string {
	if f.Realm == fsck.InDatabase {
		return "database, " + f.Place
	}
	return f.Place
}

// subject names what a finding is about.
func subject(o *fsck.Object) string {
	if o == nil {
		return ""
	}
	text := fmt.Sprintf("  %s %s", o.Kind, shortID(o.ID))
	if len(o.Names) > 0 {
		text += " (" + names(o.Names) + ")"
	}
	switch {
	case o.TarSplit:
		text += ", its tar-split"
	case o.Item != "":
		text += fmt.Sprintf(", data item %q", o.Item)
	}
	return text
}

// affected names the images and containers that suffer.
func affected(f *fsck.Finding) string {
	var texts []string
	for _, objects := range [][]fsck.Object{f.Images, f.Containers} {
		for i, o := range objects {
			if i == maxShown {
				texts = append(texts, fmt.Sprintf("%d more %ss", len(objects)-i, o.Kind))
				break
			}
			texts = append(texts, strings.TrimSpace(subject(&o)))
		}
	}
	if f.More {
		texts = append(texts, "and more than can be listed")
	}
	return strings.Join(texts, ", ")
}
