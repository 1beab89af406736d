package testutil

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// OddTree fills the folder dir with every sort of file that a layer may hold:
// all types, modes with set-id and sticky bits, several owners, hard links to
// files and to other things, symbolic links of every kind, extended attributes
// and capabilities, times before 1970 and after 2038, holes, names that are
// not text, deep folders and a file of some mebibytes. It is the same tree at
// each call, down to the times.
//
// Devices, foreign owners and capabilities are left out when the test is not
// run by root. Nothing in the tree is beyond a tar archive but the socket.
func OddTree(t testing.TB, dir string) { OddTreeWithout(t, dir, 0) }

// OddTreeWithout is OddTree without the files whose names are longer than
// maxName bytes; 0 is no limit.
func OddTreeWithout(t testing.TB, dir string, maxName int) {
	t.Helper()
	var plans []plan
	for _, group := range [][]plan{
		{{name: ".", kind: typeDir, mode: 0o755}},
		oddFiles(), oddModes(), oddTypes(), oddLinks(), oddTimes(), oddXattrs(), oddNames(), deepFolders(),
	} {
		plans = append(plans, group...)
	}
	for i := range plans {
		if plans[i].mtime.IsZero() {
			plans[i].mtime = ordinaryTime(i)
		}
	}
	if maxName > 0 {
		plans = slices.DeleteFunc(plans, func(p plan) bool { return len(path.Base(p.name)) > maxName })
	}
	plant(t, dir, plans)
}

// ordinaryTime returns a time in the past that no other i has.
func ordinaryTime(i int) time.Time {
	return time.Date(2024, time.February, 29, 12, 34, 56, 123456789+i*1001, time.UTC)
}

// noise returns bytes that do not compress, the same for the same seed.
func noise(seed byte, size int) []byte {
	source := rand.NewChaCha8([32]byte{seed})
	data := make([]byte, size)
	_, _ = source.Read(data) // never fails
	return data
}

func content(data []byte) []piece { return []piece{{data: data}} }

func oddFiles() []plan {
	const mib = 1 << 20
	return []plan{
		{name: "files", kind: typeDir, mode: 0o755},
		{name: "files/empty", kind: typeFile, mode: 0o644},
		{name: "files/one-byte", kind: typeFile, mode: 0o644, pieces: content([]byte{0})},
		{name: "files/one-block", kind: typeFile, mode: 0o644, pieces: content(noise(1, 512))},
		{name: "files/large", kind: typeFile, mode: 0o644, pieces: content(noise(2, 5*mib+3))},
		{name: "files/zeros", kind: typeFile, mode: 0o644, pieces: content(make([]byte, 200_000))},
		{name: "files/hole", kind: typeFile, mode: 0o644, size: 3 * mib},
		{name: "files/sparse", kind: typeFile, mode: 0o644, size: 9*mib + 1, pieces: []piece{
			{data: noise(3, 4096)}, {2 * mib, noise(4, 10_000)}, {7*mib + 5, noise(5, 70_000)},
		}},
		{name: "files/hole-first", kind: typeFile, mode: 0o644, pieces: []piece{{4 * mib, noise(6, 1)}}},
	}
}

func oddModes() []plan {
	plans := []plan{{name: "modes", kind: typeDir, mode: 0o755}}
	for _, mode := range []uint32{0, 0o400, 0o777, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777} {
		plans = append(plans, plan{
			name: fmt.Sprintf("modes/file-%04o", mode), kind: typeFile, mode: mode, uid: 1000, gid: 1001, pieces: content([]byte("x")),
		})
	}
	for _, mode := range []uint32{0o700, 0o555, 0o1777, 0o2775, 0o7755} {
		plans = append(plans, plan{name: fmt.Sprintf("modes/dir-%04o", mode), kind: typeDir, mode: mode, uid: 65534, gid: 65534})
	}
	return append(plans,
		plan{name: "modes/owned-by-many", kind: typeFile, mode: 0o640, uid: 100_000, gid: 2_000_000_000})
}

func oddTypes() []plan {
	return []plan{
		{name: "types", kind: typeDir, mode: 0o755},
		{name: "types/fifo", kind: typeFIFO, mode: 0o620, uid: 7, gid: 8},
		{name: "types/socket", kind: typeSocket, mode: 0o755},
		{name: "types/null", kind: typeChar, mode: 0o666, rdev: unix.Mkdev(1, 3)},
		{name: "types/char-large-numbers", kind: typeChar, mode: 0o600, rdev: unix.Mkdev(300, 70_000)},
		{name: "types/block", kind: typeBlock, mode: 0o660, gid: 6, rdev: unix.Mkdev(259, 300)},
	}
}

func oddLinks() []plan {
	return []plan{
		{name: "links", kind: typeDir, mode: 0o755},
		{name: "links/b", kind: typeFile, mode: 0o644, pieces: content([]byte("several names"))},
		{name: "links/a", kind: kindLink, target: "links/b"},
		{name: "links/elsewhere", kind: typeDir, mode: 0o755},
		{name: "links/elsewhere/c", kind: kindLink, target: "links/b"},
		{name: "links/relative", kind: typeSymlink, target: "elsewhere/c", uid: 12, gid: 13},
		{name: "links/relative-again", kind: kindLink, target: "links/relative"},
		{name: "links/absolute", kind: typeSymlink, target: "/etc/passwd"},
		{name: "links/dangling", kind: typeSymlink, target: "no/such/file"},
		{name: "links/itself", kind: typeSymlink, target: "itself"},
		{name: "links/leads-out", kind: typeSymlink, target: "../../../../../../../../etc"},
		{name: "links/to-folder", kind: typeSymlink, target: "elsewhere"},
		{name: "links/long", kind: typeSymlink, target: strings.Repeat("0123456789/", 90)},
		{name: "links/fifo", kind: typeFIFO, mode: 0o600},
		{name: "links/fifo-again", kind: kindLink, target: "links/fifo"},
	}
}

// oddTimes are within what each file system can hold: XFS begins in 1901.
func oddTimes() []plan {
	odds := []struct {
		name string
		when time.Time
	}{
		{"whole-second", time.Unix(1_000_000_000, 0)},
		{"last-nanosecond", time.Unix(1_000_000_000, 999_999_999)},
		{"epoch", time.Unix(0, 0)},
		{"before-epoch", time.Unix(-1, 500_000_000)},
		{"long-before-epoch", time.Date(1911, time.November, 11, 11, 11, 11, 111_111_111, time.UTC)},
		{"after-2038", time.Unix(1<<31, 1)},
		{"long-after-2038", time.Date(2222, time.February, 2, 2, 2, 2, 222_222_222, time.UTC)},
	}
	plans := make([]plan, 0, 1+len(odds))
	plans = append(plans, plan{name: "times", kind: typeDir, mode: 0o755, mtime: time.Unix(-86400, 1)})
	for _, odd := range odds {
		plans = append(plans, plan{name: "times/" + odd.name, kind: typeFile, mode: 0o644, mtime: odd.when})
	}
	return plans
}

// capability is the attribute that holds a file's capabilities.
const capability = "security.capability"

// bindService is the value of capability for cap_net_bind_service=ep: struct
// vfs_cap_data of linux/capability.h in its second revision.
const bindService = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func oddXattrs() []plan {
	return []plan{
		{name: "xattrs", kind: typeDir, mode: 0o755, xattrs: map[string]string{"user.folder": "yes"}},
		{name: "xattrs/text", kind: typeFile, mode: 0o644, xattrs: map[string]string{"user.comment": "a = b\n"}},
		{name: "xattrs/binary", kind: typeFile, mode: 0o644, xattrs: map[string]string{"user.bytes": "\x00\xff=\x00"}},
		{name: "xattrs/several", kind: typeFile, mode: 0o644, xattrs: map[string]string{
			"user.a": "1", "user.b.c": "2", "user.long": strings.Repeat("long ", 200),
		}},
		{
			name: "xattrs/capable", kind: typeFile, mode: 0o755, pieces: content([]byte("#!/bin/sh\n")),
			xattrs: map[string]string{capability: bindService},
		},
	}
}

func oddNames() []plan {
	plans := []plan{{name: "names", kind: typeDir, mode: 0o755}}
	for _, name := range []string{
		" leading and trailing ", "new\nline", "tab\tand\x01control", "\xff\xfe not UTF-8", "back\\slash", `"quotes'`,
		"-rf", "*", "$HOME;`id`", "colon:comma,equals=", "...", "case", "CASE", "caf\u00e9", "cafe\u0301",
		strings.Repeat("n", 255), strings.Repeat("\u00fc", 127),
	} {
		plans = append(plans, plan{name: "names/" + name, kind: typeFile, mode: 0o644, pieces: content([]byte(name))})
	}
	// A folder sorts differently as "sort" and as "sort/".
	return append(plans,
		plan{name: "names/sort", kind: typeDir, mode: 0o755},
		plan{name: "names/sort/inside", kind: typeFile, mode: 0o644},
		plan{name: "names/sort.d", kind: typeDir, mode: 0o755},
		plan{name: "names/sort-", kind: typeFile, mode: 0o644})
}

// deepFolders are nested so deep that their path fits in no header of a tar
// archive, but in PATH_MAX.
func deepFolders() []plan {
	const levels = 100
	var plans []plan
	name := "deep"
	for level := range levels {
		plans = append(plans, plan{name: name, kind: typeDir, mode: 0o755})
		name += fmt.Sprintf("/level-%03d", level)
	}
	return append(plans, plan{name: name, kind: typeFile, mode: 0o644, pieces: content([]byte("bottom"))})
}
