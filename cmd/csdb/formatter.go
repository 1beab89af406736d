package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	urfave "github.com/urfave/cli/v2"
)

// formatHelp says what all commands with --format have in common.
const formatHelp = `Besides those of Go, json writes a value as JSON, and join puts a text between
the elements of a list. Sizes are in bytes, -1 if they are not known. What is not
fit for a terminal is replaced; json writes it exactly.`

// formatFlag is the flag for a template.
func formatFlag(text *string) urfave.Flag {
	return &urfave.StringFlag{Name: "format", Usage: "write each object by this Go `TEMPLATE`", Destination: text}
}

// formatter writes objects by a template of the user.
type formatter struct {
	command  string
	text     string
	template *template.Template
}

// newFormatter reads a template. It returns nil if the flag has not been given.
func newFormatter(s *session, command, text string) (*formatter, error) {
	if !s.flagged("format") {
		return nil, nil //nolint:nilnil // No template is no error.
	}
	f := &formatter{command: command, text: text}
	if s.json {
		return nil, &usageError{command: command, err: errors.New("--format and --json exclude each other")}
	}
	var err error
	if f.template, err = parseFormat(text); err != nil {
		return nil, f.fault(placeIn(text, faultOffset(text, err)), cutPlace(err))
	}
	return f, nil
}

func parseFormat(text string) (*template.Template, error) {
	return template.New("format").Funcs(template.FuncMap{"json": compactJSON, "join": join}).Parse(text)
}

// compactJSON writes a value as JSON.
func compactJSON(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), err
}

// join is strings.Join for a list of anything that is text.
func join(all any, separator string) (string, error) {
	list := reflect.ValueOf(all)
	if list.Kind() != reflect.Slice {
		return "", fmt.Errorf("join takes a list and a text, and not %T", all)
	}
	texts := make([]string, list.Len())
	for i := range texts {
		texts[i] = fmt.Sprint(list.Index(i))
	}
	return strings.Join(texts, separator), nil
}

// writeFormatted writes a line for each object, or nothing after an error.
func writeFormatted[T any](s *session, f *formatter, all []T) error {
	var text strings.Builder
	for _, value := range all {
		if err := f.template.Execute(&text, value); err != nil {
			return f.executionFault(err)
		}
		text.WriteByte('\n')
	}
	_, err := fmt.Fprint(s.Stdout, cleanLines(text.String()))
	return err
}

// cleanLines is clean for text that may have tabs, and several lines.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = clean(cell)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// fault is the error for a template that makes no sense.
func (f *formatter) fault(where, what string) error {
	return &usageError{command: f.command, err: fmt.Errorf("--format: %s: %s", where, what)}
}

// errorPlace is how text/template begins its errors: name, line, and column if it
// knows that, in bytes and from 0.
var errorPlace = regexp.MustCompile(`^template: format:(\d+):(?:(\d+):)? (?:executing "format" at )?`)

// cutPlace takes the place off an error of text/template.
func cutPlace(err error) string {
	text := err.Error()
	return strings.TrimPrefix(text, errorPlace.FindString(text))
}

// executionFault says where in the template something could not be done.
func (f *formatter) executionFault(err error) error {
	match := errorPlace.FindStringSubmatch(err.Error())
	if match == nil {
		return f.fault("template", err.Error())
	}
	line, _ := strconv.Atoi(match[1])
	column, _ := strconv.Atoi(match[2])
	begin := 0
	for range line - 1 {
		begin += strings.Index(f.text[begin:], "\n") + 1
	}
	return f.fault(placeIn(f.text, min(begin+column, len(f.text))), cutPlace(err))
}

// faultOffset returns where in a template that cannot be parsed the action
// begins that is wrong, which text/template does not tell: it is the last one of
// the shortest part that gives the same error. If an end is missing, that is at
// the end.
func faultOffset(text string, err error) int {
	if strings.HasSuffix(err.Error(), "unexpected EOF") {
		return len(text)
	}
	part := text
	for end := range len(text) {
		if !strings.HasSuffix(text[:end], "}}") {
			continue
		}
		if _, errPart := parseFormat(text[:end]); errPart != nil && errPart.Error() == err.Error() {
			part = text[:end]
			break
		}
	}
	return max(strings.LastIndex(part, "{{"), 0)
}

// placeIn describes a place in a text, given in bytes, to people.
func placeIn(text string, offset int) string {
	before := text[:offset]
	line := strings.LastIndex(before, "\n") + 1
	return fmt.Sprintf("line %d, column %d", strings.Count(before, "\n")+1, utf8.RuneCountInString(before[line:])+1)
}
