package userns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/csdb/csdb/model"
)

// side is one half of what a namespace knows of owners: users or groups.
type side struct {
	id   string // "uid" or "gid"
	self int    // the own one
	// helper is the program that may give a namespace several IDs.
	helper string
	// subordinate is the file with the ranges that helper allows.
	subordinate string
}

func sides() [2]side {
	return [2]side{
		{id: "uid", self: os.Geteuid(), helper: "newuidmap", subordinate: "/etc/subuid"},
		{id: "gid", self: os.Getegid(), helper: "newgidmap", subordinate: "/etc/subgid"},
	}
}

// wanted returns the ranges that the namespace is to have. Root of another
// namespace keeps what there is; everybody else becomes root and has the
// subordinate IDs after that. If there are none the error says so, and the only ID
// remains.
func (s side) wanted() ([]model.IDMap, error) {
	if os.Geteuid() == 0 && !hasAllIDs() {
		return s.identity()
	}
	own := []model.IDMap{{HostID: s.self, Size: 1}}
	ranges, err := SubIDs(s.subordinate, ownNames()...)
	for _, r := range ranges {
		r.ContainerID++
		own = append(own, r)
	}
	return own, err
}

// ownNames returns the names by which files of subordinate IDs may know the
// user: the name, if there is one, and the number.
func ownNames() []string {
	number := strconv.Itoa(os.Geteuid())
	if account, err := user.LookupId(number); err == nil {
		return []string{account.Username, number}
	}
	return []string{number}
}

// identity returns all IDs of this namespace as they are.
func (s side) identity() ([]model.IDMap, error) {
	content, err := os.ReadFile("/proc/self/" + s.id + "_map")
	if err != nil {
		return nil, err
	}
	var maps []model.IDMap
	for line := range strings.Lines(string(content)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return nil, fmt.Errorf("/proc/self/%s_map: %w", s.id, err)
		}
		maps = append(maps, model.IDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return maps, nil
}

// give gives the namespace of a process its IDs. Warnings say why there is only
// one where there is.
func (s side) give(ctx context.Context, pid int, warn func(string)) error {
	maps, err := s.wanted()
	if err != nil {
		warn(fmt.Sprintf("no subordinate IDs: %v", err))
	} else if err = s.giveAll(ctx, pid, maps); err == nil {
		return nil
	} else {
		warn(fmt.Sprintf("subordinate IDs cannot be used: %v", err))
	}
	warn(fmt.Sprintf("only %s %d is known in the user namespace: files cannot belong to others", s.id, s.self))
	return s.giveOne(pid)
}

// giveAll gives the namespace several ranges: root can, others need the helper.
func (s side) giveAll(ctx context.Context, pid int, maps []model.IDMap) error {
	if os.Geteuid() == 0 {
		return s.write(pid, maps)
	}
	args := []string{strconv.Itoa(pid)}
	for _, m := range maps {
		args = slices.Concat(args, strings.Fields(line(m)))
	}
	if output, err := exec.CommandContext(ctx, s.helper, args...).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", s.helper, err), textError(output))
	}
	return nil
}

// giveOne makes root of the only ID that anybody may give away, the own one. For
// that processes in the namespace must not be able to leave groups, by which files
// can be closed to their members.
func (s side) giveOne(pid int) error {
	if s.id == "gid" && os.Geteuid() != 0 {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/setgroups", pid), []byte("deny"), 0); err != nil {
			return err
		}
	}
	return s.write(pid, []model.IDMap{{HostID: s.self, Size: 1}})
}

// write tells the kernel the ranges of a namespace.
func (s side) write(pid int, maps []model.IDMap) error {
	var text strings.Builder
	for _, m := range maps {
		fmt.Fprintln(&text, line(m))
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/%s_map", pid, s.id), []byte(text.String()), 0)
}

// line returns a range in the form that the kernel and the helpers read.
func line(m model.IDMap) string { return fmt.Sprintf("%d %d %d", m.ContainerID, m.HostID, m.Size) }

// textError makes an error of what a program has printed, or nil of nothing.
func textError(output []byte) error {
	text := strings.TrimSpace(string(output))
	if text == "" {
		return nil
	}
	return errors.New(strings.ReplaceAll(text, "\n", "; "))
}
