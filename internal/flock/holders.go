package flock

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/csdb/csdb/model"
)

// BusyError is what remains of a wait for a lock that somebody else held. It
// matches model.ErrBusy and the reason why the wait ended.
type BusyError struct {
	Path    string   // of the lock file
	Holders []Holder // processes that hold the lock or wait in front of us, if they can be seen
	Err     error
}

// Error names the lock and its holders.
func (e *BusyError) Error() string {
	who := "a process that cannot be seen from here"
	if len(e.Holders) > 0 {
		var texts []string
		for _, holder := range e.Holders {
			if text := holder.String(); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		who = strings.Join(texts, ", ")
	}
	return fmt.Sprintf("lock %s is held by %s: %v", e.Path, who, e.Err)
}

// Unwrap returns the class of the error and the reason why the wait ended.
func (e *BusyError) Unwrap() []error { return []error{model.ErrBusy, e.Err} }

// Holder is a process that holds a lock.
type Holder struct {
	PID     int
	Command string // its command line, shortened
}

// String names the process by its PID and its command.
func (h Holder) String() string {
	if h.Command == "" {
		return fmt.Sprintf("process %d", h.PID)
	}
	return fmt.Sprintf("process %d (%s)", h.PID, h.Command)
}

// Holders returns the processes that hold a lock of flock(2) on f, as far as
// /proc/locks (proc_locks(5)) shows them: processes of another PID namespace
// may be missing.
func Holders(f *os.File) []Holder {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer func() { _ = locks.Close() }()
	var holders []Holder
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		pid, inode, ok := parseLock(lines.Text())
		if ok && inode == stat.Ino {
			holders = append(holders, Holder{PID: pid, Command: commandOf(pid)})
		}
	}
	return holders
}

// parseLock reads a line such as "1: FLOCK  ADVISORY  WRITE 1234 fe:00:567 0 EOF".
// Lines of waiting processes have "->" in the second place and are skipped.
// Devices are not compared: btrfs shows another one here than in stat(2).
func parseLock(line string) (pid int, inode uint64, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[1] != "FLOCK" {
		return 0, 0, false
	}
	_, number, ok := cutLast(fields[5], ":")
	if !ok {
		return 0, 0, false
	}
	pid, errPID := strconv.Atoi(fields[4])
	inode, errInode := strconv.ParseUint(number, 10, 64)
	return pid, inode, errPID == nil && errInode == nil && pid > 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// maxCommand is how much of a command line is worth showing.
const maxCommand = 80

// commandOf returns the command line of a process, or "".
func commandOf(pid int) string {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	if len(text) > maxCommand {
		text = text[:maxCommand] + "..."
	}
	return text
}
