package testutil

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// attachAttempts is how often attach asks for a free loop device. Each failure
// means that somebody else, perhaps the tests of another package, took the
// device that was free a moment ago.
const attachAttempts = 100

// attach makes a loop device of a file and returns it open. Nobody has to
// detach it: the kernel does so when the last user has closed it, which may be
// a mount (LO_FLAGS_AUTOCLEAR, loop(4)).
func attach(file *os.File, flags uint32) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCannotMount, err)
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | flags
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	for attempt := range attachAttempts {
		device, err := attachFree(int(control.Fd()), &config)
		if err == nil || !lostRace(err) {
			return device, err
		}
		time.Sleep(time.Duration(attempt) * time.Millisecond)
	}
	return nil, fmt.Errorf("attach %s: %d loop devices in turn were taken by others", file.Name(), attachAttempts)
}

// attachFree attaches to the loop device that is free at this moment.
func attachFree(control int, config *unix.LoopConfig) (*os.File, error) {
	number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, os.NewSyscallError("LOOP_CTL_GET_FREE", err)
	}
	device, err := openLoop(number)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlLoopConfigure(int(device.Fd()), config); err != nil {
		return nil, errors.Join(os.NewSyscallError("LOOP_CONFIGURE", err), device.Close())
	}
	return device, nil
}

// lostRace tells whether an error of attachFree means that the device was
// taken or removed between the question which one is free and its use.
func lostRace(err error) bool {
	return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENXIO) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT)
}

// openLoop opens the loop device with the given number. If it has no node in
// /dev, as in a container whose /dev was copied when it started, it gets one.
func openLoop(number int) (*os.File, error) {
	node := fmt.Sprintf("/dev/loop%d", number)
	device, err := os.OpenFile(node, os.O_RDWR, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return device, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/block/loop%d/dev", number))
	if err != nil {
		return nil, err
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return nil, fmt.Errorf("device number of loop%d: %w", number, err)
	}
	err = unix.Mknod(node, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor)))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make %s: %w", node, err)
	}
	return os.OpenFile(node, os.O_RDWR, 0)
}
