package main

import (
	"github.com/csdb/csdb/internal/cli"
)

// steps shows how far something has come that has several steps, on a terminal.
type steps struct {
	cli.Env

	mute  bool
	shown cli.Progress
}

// start shows a step in the place of the one before; it is a db.Progress.
func (p *steps) start(what string, total int64) (done func(n int64)) {
	p.end()
	if p.mute {
		return func(int64) {}
	}
	shown := p.StartProgress(what, total)
	p.shown = shown
	return inLumps(shown.Add)
}

// reading shows how much has been read, as fsck.Options.Progress does: what it
// returns may be called by several goroutines.
func (p *steps) reading(total int64) func(n int64) {
	p.end()
	p.shown = p.StartProgress("reading", total)
	return p.shown.Add
}

// end takes off the terminal what is shown. More may be started after it.
func (p *steps) end() {
	p.shown.End()
	p.shown = cli.Progress{}
}

// lump is as often as it is worth telling a terminal, in bytes.
const lump = 64 << 10

// inLumps tells of many bytes at once: there may be a million calls for as many
// records.
func inLumps(add func(int64)) func(n int64) {
	var more int64
	return func(n int64) {
		if more += n; more >= lump {
			add(more)
			more = 0
		}
	}
}
