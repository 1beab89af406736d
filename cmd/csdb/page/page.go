package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"
)

// Page is what a report says. Texts are shown as they are, so whatever may not be
// printed has been replaced in them.
type Page struct {
	// Root is the path of the store.
	Root string
	// Made is when the report was made, and By names the program.
	Made time.Time
	By   string
	// Facts say what the store is.
	Facts []Line
	// Unread says what could not be read, so that it is missing in the page.
	Unread []string

	// Layers are all layers, each one before those that lie on it.
	Layers []Layer
	// Loose are the images and containers without a layer.
	Loose []User
	// Data are the objects with data items, and TarSplits is the size of all
	// files from which diffs are reproduced, in bytes.
	Data      []Data
	TarSplits int64
	// Objects are the images and containers, the largest first.
	Objects []Object
	// Left counts the smaller ones that are left out.
	Left int

	Check Check
	// History are the last transactions, the newest first, and Older counts
	// those before them.
	History []Entry
	Older   int

	// HumanSize writes a size in bytes, which is negative if it is not known.
	HumanSize func(int64) string
}

// Line is a text with a title. One without a title goes on with the one before.
type Line struct{ Name, Text string }

// Data is an object with data items.
type Data struct {
	Label string
	Size  int64 // of all items, in bytes
}

// Object is an image or a container with what it takes, in bytes; what is not
// known is negative. See [github.com/csdb/csdb/graph.Size].
type Object struct {
	User
	Own, Unique, Shared int64
}

// Check is the outcome of a check.
type Check struct {
	// Verdict is one word, and Summary says what was looked at.
	Verdict, Summary string
	// Counts say how many findings of each severity there are.
	Counts []Count
	// Unchecked says what could not be looked at.
	Unchecked []string
	// Findings are in the order in which they are shown, and More counts those
	// that are left out.
	Findings []Finding
	More     int
}

// Count is a number of findings.
type Count struct {
	Severity string
	Number   int
}

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Severity, Code, About string
	Lines                 []Line
}

// Entry is a transaction.
type Entry struct {
	Time    time.Time
	TxID    int
	Author  string
	Changes []string
}

//go:embed assets
var assets embed.FS

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	view := view{Page: p}
	for name, text := range map[string]*string{"page.css": &view.style, "page.js": &view.script} {
		content, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		*text = string(content)
	}
	view.Forest = arrange(p.Layers)
	view.Space = p.divide(view.Forest)
	functions := template.FuncMap{"size": p.HumanSize, "count": count, "date": date}
	templates, err := template.New("page").Funcs(functions).ParseFS(assets, "assets/*.html")
	if err != nil {
		return fmt.Errorf("templates of the page: %w", err)
	}
	return templates.ExecuteTemplate(w, "page.html", &view)
}

// view is what the templates see.
type view struct {
	*Page
	Forest        *forest
	Space         space
	style, script string
}

// Style returns the style sheet, which is our own.
func (v *view) Style() template.CSS {
	return template.CSS(v.style) //nolint:gosec // It is a file of this package.
}

// Script returns the script, which is our own.
func (v *view) Script() template.JS {
	return template.JS(v.script) //nolint:gosec // It is a file of this package.
}

// Policy returns the Content-Security-Policy (https://www.w3.org/TR/CSP3/):
// nothing is loaded, and nothing runs but the script with this digest.
func (v *view) Policy() string {
	return fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'",
		source(v.script), source(v.style))
}

// source names a script or a style sheet by its digest.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// date writes a time to the second.
func date(t time.Time) string { return t.Format(time.DateTime) }
