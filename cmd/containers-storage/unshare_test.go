package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// userID is the ID of somebody who has nothing but a home.
const userID = 54322

// somebody is a user of the machine who is not root.
type somebody struct {
	home string
	etc  string // files in place of those in /etc
}

// newSomebody makes a user with subordinate IDs, or without.
func newSomebody(t *testing.T, subordinate string) somebody {
	t.Helper()
	testutil.NeedRoot(t)
	testutil.NeedTool(t, "newuidmap", "newgidmap")
	dir := testutil.SharedLoop(t, "ext4")
	u := somebody{home: filepath.Join(dir, "home"), etc: filepath.Join(dir, "etc")}
	for _, d := range []string{u.home, u.etc} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(u.home, userID, userID); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(u.etc, "passwd"), fmt.Sprintf("root:x:0:0::/root:/bin/sh\nsomebody:x:%d:%[1]d::%s:/bin/sh\n", userID, u.home))
	writeFile(t, filepath.Join(u.etc, "subuid"), subordinate)
	writeFile(t, filepath.Join(u.etc, "subgid"), subordinate)
	return u
}

// command returns a process of the user that runs the command.
func (u somebody) command(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	child := testutil.Child(t, "user", append([]string{u.etc}, words...)...)
	child.SysProcAttr.Cloneflags = unix.CLONE_NEWNS
	child.Env = append(child.Environ(), "HOME="+u.home, "XDG_RUNTIME_DIR="+u.home, "SHELL=/usr/bin/id")
	child.Dir, child.Stderr = u.home, nil
	return child
}

// run runs the command and returns what came of it.
func (u somebody) run(t *testing.T, words ...string) result {
	t.Helper()
	return runProcess(t, u.command(t, words...))
}

func runProcess(t *testing.T, child *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	if err := child.Run(); child.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout: stdout.String(), stderr: stderr.String(), status: child.ProcessState.ExitCode()}
}

// becomeUser puts files in place of some in /etc, which nobody else sees, and
// becomes the user for whom the program is run.
func becomeUser(_ context.Context, args []string) error {
	err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	for _, name := range []string{"passwd", "subuid", "subgid"} {
		err = errors.Join(err, unix.Mount(filepath.Join(args[0], name), "/etc/"+name, "", unix.MS_BIND, ""))
	}
	err = errors.Join(err, syscall.Setgroups(nil), syscall.Setgid(userID), syscall.Setuid(userID))
	if err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", append([]string{"containers-storage"}, args[1:]...), append(os.Environ(), asCommand))
}

// showIDs is a script that prints what a namespace knows of users and groups.
const showIDs = `id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; echo "$_CONTAINERS_USERNS_CONFIGURED $_CONTAINERS_ROOTLESS_UID $_CONTAINERS_ROOTLESS_GID"`

// wantIDs returns what showIDs prints of ranges.
func wantIDs(ranges ...string) string {
	var text strings.Builder
	fmt.Fprintln(&text, "0\n0")
	for range 2 {
		for _, r := range ranges {
			f := strings.Fields(r)
			fmt.Fprintf(&text, "%10s %10s %10s\n", f[0], f[1], f[2])
		}
	}
	fmt.Fprintf(&text, "done %d %[1]d\n", userID)
	return text.String()
}

func TestUserHasARootAndSubordinateIDsInTheNamespace(t *testing.T) {
	t.Parallel()
	u := newSomebody(t, "other:100000:65536\nsomebody:300000:1000\n"+strconv.Itoa(userID)+":400000:24\n")
	want := wantIDs(fmt.Sprintf("0 %d 1", userID), "1 300000 1000", "1001 400000 24")
	if r := u.run(t, "unshare", "sh", "-c", showIDs); r != (result{stdout: want}) {
		t.Errorf("%+v, want %q", r, want)
	}
	if r := u.run(t, "unshare"); !strings.HasPrefix(r.stdout, "uid=0(root) gid=0(root)") || r.status != 0 {
		t.Errorf("the shell: %+v", r)
	}
	// Two commands that are run in two namespaces have one store.
	if r := u.run(t, "import-layer", "-i", "base", "-f", testFile(t, "base.tar")); r != (result{stdout: "base\n"}) {
		t.Errorf("import-layer: %+v", r)
	}
	r := u.run(t, "unshare", "sh", "-ec", `cd "$(/proc/$PPID/exe mount base)"; cat a; chown 1000:7 a; stat -c %u:%g a`)
	if r != (result{stdout: "hello\n1000:7\n"}) {
		t.Errorf("the mount: %+v", r)
	}
	if r := u.run(t, "mounted", "base"); r != (result{}) {
		t.Errorf("outside of the namespace: %+v", r)
	}
	file := filepath.Join(u.home, ".local/share/containers/storage/overlay/base/diff/a")
	var stat unix.Stat_t
	if err := unix.Stat(file, &stat); err != nil || stat.Uid != 300999 || stat.Gid != 300006 {
		t.Errorf("%s belongs to %d:%d, %v", file, stat.Uid, stat.Gid, err)
	}
}

func TestUserWithoutSubordinateIDsIsWarned(t *testing.T) {
	t.Parallel()
	u := newSomebody(t, "other:100000:65536\n")
	r := u.run(t, "unshare", "sh", "-c", showIDs)
	if want := wantIDs(fmt.Sprintf("0 %d 1", userID)); r.stdout != want || r.status != 0 {
		t.Errorf("%+v, want %q", r, want)
	}
	for _, want := range []string{
		"level=warning msg=\"no subordinate IDs: /etc/subuid: not found: no ranges for \\\"somebody\\\"\"",
		fmt.Sprintf("only uid %d is known", userID), "/etc/subgid", fmt.Sprintf("only gid %d is known", userID),
	} {
		if strings.Count(r.stderr, want) != 1 {
			t.Errorf("warnings are %q, without %q", r.stderr, want)
		}
	}
	if r := u.run(t, "create-layer", "-i", "layer"); r.stdout != "layer\n" || r.status != 0 {
		t.Errorf("create-layer: %+v", r)
	}
}

func TestRangesThatMayNotBeUsedAreWarnedAbout(t *testing.T) {
	t.Parallel()
	u := newSomebody(t, "somebody:300000:1000\n")
	// The program that gives IDs is not found.
	child := u.command(t, "unshare", "/bin/cat", "/proc/self/uid_map")
	child.Env = append(child.Env, "PATH="+u.home)
	r := runProcess(t, child)
	if want := fmt.Sprintf("%10d %10d %10d\n", 0, userID, 1); r.stdout != want || r.status != 0 {
		t.Errorf("%+v, want %q", r, want)
	}
	if !strings.Contains(r.stderr, "subordinate IDs cannot be used: newuidmap: ") {
		t.Errorf("warnings are %q", r.stderr)
	}
}

func TestUnshareCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	u := newSomebody(t, "somebody:300000:1000\n")
	for _, words := range [][]string{{"layers", "--unshare=false", "-s", "overlay"}, {"-U=false", "-s", "overlay", "layers"}} {
		r := u.run(t, words...)
		if want := "overlays are mounted by root or in a user namespace\n"; r.status != exitFailed || !strings.HasSuffix(r.stdout, want) {
			t.Errorf("%q: %+v, want %q", words, r, want)
		}
	}
	if r := u.run(t, "layers", "--help"); !strings.Contains(r.stderr, "--unshare, -U=true ") {
		t.Errorf("help: %+v", r)
	}
}

// ownRoot is a store of the driver vfs that root has in a user namespace.
func ownRoot(t *testing.T) script {
	t.Helper()
	testutil.NeedRoot(t)
	dir := testutil.SharedLoop(t, "ext4")
	return script{dir: dir, root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "runroot"), driver: "vfs"}
}

func TestRootGetsOneNamespaceIfHeWants(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	outside, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	const show = "readlink /proc/self/ns/user /proc/self/ns/mnt"
	again := "; /proc/$PPID/exe " + strings.Join(s.withRoots(nil), " ") + " "
	nested := show + again + `unshare sh -c "` + show + `"` + again + `layers -U`
	got := runProcess(t, s.command(t, "unshare", "sh", "-ec", nested))
	all := lines(got.stdout)
	if got.status != 0 || len(all) != 4 || all[0] == outside || all[2] != all[0] || all[3] != all[1] {
		t.Errorf("namespaces are %+v; outside it is %s", got, outside)
	}
	for _, words := range [][]string{{"-U", "version", "-j"}, {"version", "-jU"}, {"unshare", "--unshare=false", "true"}} {
		// Only root in a namespace without ranges has cause for a warning.
		if r := runProcess(t, s.command(t, words...)); r.status != 0 || !strings.Contains(r.stderr, "is known in the user namespace") {
			t.Errorf("%q: %+v", words, r)
		}
	}
	if r := runProcess(t, s.command(t, "version", "-j")); r.stderr != "" {
		t.Errorf("without being asked: %+v", r)
	}
}

func TestRootOfANamespaceKeepsItsIDs(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	child := s.command(t, "unshare", "cat", "/proc/self/uid_map", "/proc/self/gid_map")
	maps := []syscall.SysProcIDMap{{HostID: 0, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 10}, {ContainerID: 50, HostID: 7, Size: 1}}
	child.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
	child.SysProcAttr.UidMappings, child.SysProcAttr.GidMappings = maps, maps
	child.SysProcAttr.GidMappingsEnableSetgroups = true
	r := runProcess(t, child)
	want := ""
	for _, m := range maps {
		want += fmt.Sprintf("%10d %10d %10d\n", m.ContainerID, m.ContainerID, m.Size)
	}
	if want += want; r != (result{stdout: want}) {
		t.Errorf("%+v, want %q", r, want)
	}
}

func TestMachineWithoutUserNamespacesIsNoHindrance(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(words ...string) result {
		const without = `echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"`
		child := exec.CommandContext(t.Context(), "sh", append([]string{"-ec", without, "sh", program}, s.withRoots(words)...)...)
		child.Env = append(child.Environ(), asCommand)
		one := []syscall.SysProcIDMap{{Size: 1}}
		child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: one, GidMappings: one}
		return runProcess(t, child)
	}
	const reason = "user namespace: not supported: fork/exec /proc/self/exe: no space left on device"
	if r := run("create-layer", "-i", "layer"); r.status != 0 || r.stdout != "layer\n" || !strings.Contains(r.stderr, "level=warning msg=\""+reason) {
		t.Errorf("create-layer: %+v", r)
	}
	for _, words := range [][]string{{"layers", "-U"}, {"-U", "layers"}, {"unshare", "true"}} {
		if r := run(words...); r != (result{stderr: reason + "\n", status: exitFailed}) {
			t.Errorf("%q: %+v", words, r)
		}
	}
}

func TestUnshareEndsAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	for _, test := range []struct {
		words  []string
		stderr string
		status int
	}{
		{[]string{"unshare", "sh", "-c", "exit 0"}, "", exitOK},
		{[]string{"unshare", "sh", "-c", "exit 3"}, "exit status 3\n", exitFailed},
		{[]string{"unshare", "sh", "-c", "kill -TERM $$"}, "signal: terminated\n", exitFailed},
		{[]string{"unshare", "sh", "-c", "kill -KILL $PPID"}, "", 128 + int(unix.SIGKILL)},
		{[]string{"unshare", "nosuch"}, "exec: \"nosuch\": executable file not found in $PATH\n", exitFailed},
		{[]string{"layer", "-U", "nosuch"}, "", exitFailed},
		{[]string{"exists", "-U"}, "", exitFailed}, // too few arguments
		{[]string{"exists", "-U", "--nosuch"}, "See 'containers-storage.test exists --help'.\n", exitFlags},
	} {
		r := runProcess(t, s.command(t, test.words...))
		if r.status != test.status || !strings.HasSuffix(r.stderr, test.stderr) {
			t.Errorf("%q: %+v, want %d, %q", test.words, r, test.status, test.stderr)
		}
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	for signal, name := range map[unix.Signal]string{unix.SIGHUP: "HUP", unix.SIGINT: "INT", unix.SIGTERM: "TERM"} {
		child := s.command(t, "unshare", "sh", "-c", "trap 'echo got; exit 7' "+name+"; echo ready; while :; do sleep 0.1; done")
		child.SysProcAttr.Setsid = true // no terminal
		var stderr bytes.Buffer
		child.Stderr = &stderr
		stdout := newLineReader(t, child)
		stdout.want(t, "ready")
		if err := child.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		stdout.want(t, "got")
		_ = child.Wait() // the exit status says it
		if status := child.ProcessState.ExitCode(); status != exitFailed || !strings.HasSuffix(stderr.String(), "exit status 7\n") {
			t.Errorf("%s: exit status %d, %q", name, status, stderr.String())
		}
	}
}

func TestInterruptOfATerminalIsNotPassedOn(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	terminal := testutil.NewTerminal(t)
	// The program leaves the foreground, and so gets only what is passed on; what
	// it prints of that comes before the end.
	child := s.command(t, "unshare", "setsid", "sh", "-c", `trap 'echo passed on' INT; echo ready; read -r line; sleep 0.3; echo "the end"`)
	child.Stdin, child.Stdout, child.Stderr = terminal.File, terminal.File, terminal.File
	child.SysProcAttr.Setsid, child.SysProcAttr.Setctty = true, true
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.WaitFor(t, "ready")
	terminal.Type(t, "\x03")
	terminal.Type(t, "line\n")
	if got := terminal.WaitFor(t, "the end"); strings.Contains(got, "passed on") {
		t.Errorf("on the terminal: %q", got)
	}
	_ = child.Wait() // it was asked to end
}

func TestNothingGoesOnInTheNamespaceOfAKilledProcess(t *testing.T) {
	t.Parallel()
	s := ownRoot(t)
	child := s.command(t, "unshare", "sh", "-c", "echo $PPID; exec cat")
	stdin, err := child.StdinPipe() // keeps it waiting, at the longest until the end of the test
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout := newLineReader(t, child)
	inside, err := strconv.Atoi(stdout.line(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, "the end of the process inside", func() bool { return hasEnded(inside) })
}

// hasEnded tells whether a process is no more, or only waits to be reaped.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// lineReader reads what a process prints.
type lineReader struct{ *bufio.Reader }

// newLineReader starts a process.
func newLineReader(t *testing.T, child *exec.Cmd) lineReader {
	t.Helper()
	stdout, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return lineReader{bufio.NewReader(stdout)}
}

func (r lineReader) line(t *testing.T) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (r lineReader) want(t *testing.T, want string) {
	t.Helper()
	if got := r.line(t); got != want {
		t.Fatalf("printed %q instead of %q", got, want)
	}
}
