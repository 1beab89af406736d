package cli

import (
	"flag"
	"strings"

	"github.com/urfave/cli/v2"
)

// ListFlag is a flag that may be given several times, for command lines that
// Syntax has read. Unlike that of urfave/cli, its values are taken as they
// are, byte for byte.
type ListFlag struct {
	Name    string
	Aliases []string
	Usage   string
	// Value is what the list is if the flag is not given.
	Value []string
	// Destination is where the values go.
	Destination *[]string

	given bool
}

var _ cli.DocGenerationSliceFlag = (*ListFlag)(nil)

// Apply adds the flag to a set, by its long name: canonical words have no other
// one.
func (f *ListFlag) Apply(set *flag.FlagSet) error {
	*f.Destination, f.given = f.Value, false
	set.Func(f.Name, f.Usage, func(value string) error {
		if !f.given {
			*f.Destination, f.given = nil, true
		}
		*f.Destination = append(*f.Destination, value)
		return nil
	})
	return nil
}

// Names returns the names of the flag, the long one first.
func (f *ListFlag) Names() []string { return append([]string{f.Name}, f.Aliases...) }

// IsSet tells whether the flag has been given.
func (f *ListFlag) IsSet() bool { return f.given }

// String returns the names of the flag and its usage.
func (f *ListFlag) String() string { return cli.FlagStringer(f) }

// TakesValue tells that the flag takes a value.
func (f *ListFlag) TakesValue() bool { return true }

// GetUsage returns the usage of the flag.
func (f *ListFlag) GetUsage() string { return f.Usage }

// GetValue returns what the list is if the flag is not given.
func (f *ListFlag) GetValue() string { return strings.Join(f.Value, ",") }

// GetDefaultText returns what the list is if the flag is not given.
func (f *ListFlag) GetDefaultText() string { return f.GetValue() }

// GetEnvVars returns nothing: the environment is not asked.
func (f *ListFlag) GetEnvVars() []string { return nil }

// IsSliceFlag tells that the flag may be given several times.
func (f *ListFlag) IsSliceFlag() bool { return true }
