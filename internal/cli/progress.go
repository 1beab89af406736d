package cli

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// Progress shows on a terminal how far something has come. The zero value
// shows nothing.
type Progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

// barWidth is the width of the bar itself, in columns.
const barWidth = 32

// StartProgress begins to show how many bytes of something have been worked
// on, how fast that goes and, unless total is SizeUnknown, how long it will
// still take. It shows nothing if the standard error is not a terminal. The
// caller must End it before he writes to the standard error.
func (e Env) StartProgress(what string, total int64) Progress {
	if !e.hasTerminal() {
		return Progress{}
	}
	bars := mpb.New(mpb.WithOutput(e.Stderr), mpb.WithWidth(barWidth))
	name := mpb.PrependDecorators(decor.Name(what + " "))
	speed := decor.AverageSpeed(decor.SizeB1000(0), " % .1f")
	if total == SizeUnknown {
		counter := decor.CurrentKiloByte("% .1f")
		return Progress{bars: bars, bar: bars.AddSpinner(0, name, mpb.AppendDecorators(counter, speed))}
	}
	counter := decor.CountersKiloByte(" % .1f / % .1f")
	left := decor.AverageETA(decor.ET_STYLE_GO)
	// A bar that is made without a total does not end by itself when it is
	// reached: it is to stay until End.
	bar := bars.AddBar(0, name, mpb.AppendDecorators(counter, speed, decor.Name(" "), left))
	bar.SetTotal(total, false)
	return Progress{bars: bars, bar: bar}
}

// hasTerminal tells whether the standard error is a terminal on which a line
// can be written anew.
func (e Env) hasTerminal() bool {
	file, ok := e.Stderr.(*os.File)
	return ok && isTerminal(file, e.Getenv)
}

func isTerminal(file *os.File, getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Add says that n more bytes have been worked on.
func (p Progress) Add(n int64) {
	if p.bar != nil {
		p.bar.IncrInt64(n)
	}
}

// Reader returns a reader that counts what is read from r.
func (p Progress) Reader(r io.Reader) io.Reader {
	if p.bar == nil {
		return r
	}
	return countingReader{r: r, progress: p}
}

// Writer returns a writer that counts what is written to w.
func (p Progress) Writer(w io.Writer) io.Writer {
	if p.bar == nil {
		return w
	}
	return countingWriter{w: w, progress: p}
}

// End takes the bar off the terminal.
func (p Progress) End() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
}

type countingReader struct {
	r        io.Reader
	progress Progress
}

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.progress.Add(int64(n))
	return n, err
}

type countingWriter struct {
	w        io.Writer
	progress Progress
}

func (c countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.progress.Add(int64(n))
	return n, err
}
