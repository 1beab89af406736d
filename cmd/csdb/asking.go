package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/csdb/csdb/model"
)

// canAsk returns an error if there is nobody who could be asked, which says what
// to use instead.
func (s *session) canAsk(instead string) error {
	if stdin, ok := s.Stdin.(*os.File); ok && term.IsTerminal(int(stdin.Fd())) {
		return nil
	}
	return fmt.Errorf("%w: there is nobody to ask; use %s", model.ErrInvalid, instead)
}

// ask asks a question, and returns an error unless the answer is yes.
func (s *session) ask(question, instead string) error {
	if err := s.canAsk(instead); err != nil {
		return err
	}
	fmt.Fprintf(s.Stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(s.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return errors.New("nothing was changed")
	}
	return nil
}
