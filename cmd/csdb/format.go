package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/docker/go-units"

	"github.com/csdb/csdb/model"
)

// shortSize is the length of abbreviated IDs.
const shortSize = 12

// shortID abbreviates a generated ID. Others are words that somebody chose.
func shortID(id string) string {
	if len(id) == model.IDSize && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:shortSize]
	}
	return clean(id)
}

// humanSize writes a size in decimal units, with three digits.
func humanSize(size int64) string {
	if size < 0 {
		return "?"
	}
	return units.HumanSizeWithPrecision(float64(size), 3)
}

// since says how long before now t was.
func since(now, t time.Time) string {
	if t.After(now) {
		return "in the future"
	}
	return units.HumanDuration(now.Sub(t)) + " ago"
}

// until says how long after now t is.
func until(now, t time.Time) string { return "in " + units.HumanDuration(t.Sub(now)) }

// maxNames is how many columns names may take in a table.
const maxNames = 60

// names writes names in one column of a table: as many as there is room for,
// and how many more there are.
func names(all []string) string {
	text := ""
	for i, name := range all {
		next := clean(name)
		if i > 0 {
			next = text + ", " + next
		}
		if i > 0 && len(next) > maxNames {
			return fmt.Sprintf("%s and %d more", text, len(all)-i)
		}
		text = next
	}
	if text == "" {
		return "-"
	}
	return text
}

// clean makes text fit to be shown on a terminal and in a table: names may
// contain anything but NUL.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// plural writes a number with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
