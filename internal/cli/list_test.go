package cli_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

func TestListFlag(t *testing.T) {
	for _, test := range []struct {
		name  string
		words []string
		want  []string
	}{
		{"not given", nil, []string{"default", "other"}},
		{"given once", []string{"--name", "a"}, []string{"a"}},
		{"given several times", []string{"--name", "a", "--name=b", "--name", "a"}, []string{"a", "b", "a"}},
		{"taken as it is", []string{"--name", " a,b ", "--name", "", "--name", "\xff"}, []string{" a,b ", "", "\xff"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			flag := &cli.ListFlag{Name: "name", Aliases: []string{"n"}, Value: []string{"default", "other"}, Destination: &got}
			app := &urfave.App{HideHelp: true, Flags: []urfave.Flag{flag}, Action: func(*urfave.Context) error { return nil }}
			for range 2 { // nothing stays from the first time
				if err := app.RunContext(t.Context(), append([]string{"app"}, test.words...)); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%q (-want +got):\n%s", test.words, diff)
				}
			}
			if flag.IsSet() != (len(test.words) > 0) {
				t.Errorf("IsSet() is %t for %q", flag.IsSet(), test.words)
			}
			if got := flag.GetValue(); got != "default,other" {
				t.Errorf("GetValue() is %q", got)
			}
		})
	}
}
