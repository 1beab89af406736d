package flock

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

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

// Lock is a lock of flock(2), or the wait for one.
type Lock struct {
	Holder

	Mode    Mode
	Waiting bool
}

// Holders returns the processes that hold a lock of flock(2) on f, as far as
// Locks shows them.
func Holders(f *os.File) []Holder { return holders(Locks(f)) }

func holders(locks []Lock) []Holder {
	var holders []Holder
	for _, lock := range locks {
		if !lock.Waiting {
			holders = append(holders, lock.Holder)
		}
	}
	return holders
}

// Locks returns the locks of flock(2) on f, and who waits for one, as far as
// /proc/locks (proc_locks(5)) shows them: processes of another PID namespace
// may be missing. Each process is there once for each mode.
func Locks(f *os.File) []Lock {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return nil
	}
	text, err := readLocks()
	if err != nil {
		return nil
	}
	return locksIn(text, fmt.Sprintf("%02x:%02x", unix.Major(stat.Dev), unix.Minor(stat.Dev)), stat.Ino)
}

// locksIn returns those that /proc/locks shows for a file.
func locksIn(text, device string, inode uint64) []Lock {
	seen := make(map[shownLock]bool)
	var here, elsewhere []Lock
	for line := range strings.Lines(text) {
		lock, ok := parseLock(line)
		if !ok || lock.inode != inode || seen[lock] {
			continue
		}
		seen[lock] = true
		lock.Command = commandOf(lock.PID)
		if lock.device == device {
			here = append(here, lock.Lock)
		} else {
			elsewhere = append(elsewhere, lock.Lock)
		}
	}
	if here == nil {
		// btrfs has another device in /proc/locks than in stat(2).
		return elsewhere
	}
	return here
}

// readLocks reads /proc/locks with as few calls as possible: whatever is locked
// or unlocked between two of them moves the place at which the second one goes
// on, so that a lock that is held all the time may be passed over, or come twice.
func readLocks() (string, error) {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	var text bytes.Buffer
	text.Grow(1 << 16)
	_, err = text.ReadFrom(f)
	return text.String(), err
}

// shownLock is a lock of flock(2) as /proc/locks shows it.
type shownLock struct {
	Lock

	device string
	inode  uint64
}

// parseLock reads a line such as "1: FLOCK  ADVISORY  WRITE 1234 fe:00:567 0 EOF".
// Lines of waiting processes have "->" in the second place.
func parseLock(line string) (lock shownLock, ok bool) {
	fields := strings.Fields(line)
	if len(fields) > 1 && fields[1] == "->" {
		lock.Waiting = true
		fields = fields[1:]
	}
	if len(fields) < 6 || fields[1] != "FLOCK" {
		return lock, false
	}
	colon := strings.LastIndexByte(fields[5], ':')
	if colon < 0 {
		return lock, false
	}
	if fields[3] == "WRITE" {
		lock.Mode = Exclusive
	}
	var errPID, errInode error
	lock.PID, errPID = strconv.Atoi(fields[4])
	lock.inode, errInode = strconv.ParseUint(fields[5][colon+1:], 10, 64)
	lock.device = fields[5][:colon]
	return lock, errPID == nil && errInode == nil && lock.PID > 0
}

// maxCommand is how much of a command line is worth showing, in characters.
const maxCommand = 80

// commandOf returns the command line of a process as it can be shown on a
// terminal, or "".
func commandOf(pid int) string {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text))
	if len(runes) > maxCommand {
		return string(runes[:maxCommand]) + "..."
	}
	return string(runes)
}
