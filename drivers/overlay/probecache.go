package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// probeCache keeps the answers of probes as files in the run directory:
// <question>-true or <question>-false. The first line says for which kernel
// and which file system the answer holds, and the rest why it is no.
type probeCache struct {
	dir     string
	premise string
}

// maxQuestion is how long a question may be as a part of a file name; mount
// options can be longer.
const maxQuestion = 200

// newProbeCache returns the cache in dir for the file system of home.
func newProbeCache(dir string, home *at.Dir) (probeCache, error) {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return probeCache{}, os.NewSyscallError("uname", err)
	}
	stat, err := home.Stat(".")
	if err != nil {
		return probeCache{}, err
	}
	premise := fmt.Sprintf("kernel %s %s, device %d:%d\n",
		unix.ByteSliceToString(kernel.Release[:]), unix.ByteSliceToString(kernel.Version[:]),
		unix.Major(stat.Dev), unix.Minor(stat.Dev))
	return probeCache{dir: dir, premise: premise}, nil
}

// path returns the file of an answer.
func (c probeCache) path(question string, ok bool) string {
	question = strings.ReplaceAll(question, "/", "%2F")
	if len(question) > maxQuestion {
		sum := sha256.Sum256([]byte(question))
		question = question[:maxQuestion-2*len(sum)] + hex.EncodeToString(sum[:])
	}
	return filepath.Join(c.dir, fmt.Sprintf("%s-%t", question, ok))
}

// load returns the answer to a question if there is exactly one that holds.
// Whatever else there is makes the caller probe again.
func (c probeCache) load(question string) (answer verdict, found bool) {
	for _, ok := range []bool{true, false} {
		content, err := os.ReadFile(c.path(question, ok))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		reason, holds := strings.CutPrefix(string(content), c.premise)
		if err != nil || found || !holds {
			return verdict{}, false
		}
		answer, found = verdict{ok: ok, reason: strings.TrimSuffix(reason, "\n")}, true
	}
	return answer, found
}

// store keeps the answer to a question in place of any other. The file appears
// whole or not at all; it need not outlive the machine's run.
func (c probeCache) store(question string, answer verdict) (err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(c.dir, ".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	content := c.premise
	if answer.reason != "" {
		content += answer.reason + "\n"
	}
	_, err = temp.WriteString(content)
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	// A directory in the way can only be somebody's mistake, and is not ours
	// to remove if it has content.
	for _, ok := range []bool{true, false} {
		if err := os.Remove(c.path(question, ok)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(temp.Name(), c.path(question, answer.ok))
}
