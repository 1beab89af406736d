package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/internal/config"
)

type showConfig struct{}

func (p *program) configCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "config", Usage: "show what storage.conf and the environment say, and where",
		Description: `
Shows the settings with which "containers-storage" opens a store, one per line,
and where each is from: a line of a file, a variable, a flag, or "default". The
last column says what comes of it. Those that are "ignored" have no effect, and
need have none, or are overridden; "not supported" are those that ask for what
this version cannot do: containers-storage refuses to work with them. Keys that
are "unknown" are no known ones at all.

The file is the one that $CONTAINERS_STORAGE_CONF names. Otherwise root has
/etc/containers/storage.conf or /usr/share/containers/storage.conf, whichever is
found first. Other users have containers/storage.conf below $XDG_CONFIG_HOME or
~/.config; if that is missing, little of the file of root is for them too.
csdb itself uses graphroot and runroot, and nothing else.

Examples:

  csdb config
  CONTAINERS_STORAGE_CONF=./storage.conf csdb config
  csdb config --json | jq -r '.settings[] | select(.effect == "not supported").key'`,
	}, arity{0, 0}, &showConfig{})
}

// shownConfig is a configuration.
type shownConfig struct {
	Files         []string       `json:"files"`
	Settings      []shownSetting `json:"settings"`
	DriverOptions []string       `json:"driver-options"`
}

// shownSetting is a value, where it is from, and what comes of it.
type shownSetting struct {
	Key    config.Key    `json:"key"`
	Value  any           `json:"value"`
	Source config.Source `json:"source"`
	Effect config.Status `json:"effect"`
	// Error says why a path is not known.
	Error string `json:"error,omitempty"`
}

func (o *showConfig) run(_ context.Context, s *session, _ []string) error {
	c, err := s.settings.config, s.settings.configErr
	if err != nil {
		return err
	}
	for _, given := range []struct {
		flag, value string
		key         config.Key
	}{{"root", s.settings.root, config.GraphRoot}, {"runroot", s.settings.runRoot, config.RunRoot}, {"driver", s.settings.driver, config.Driver}} {
		if s.flagged(given.flag) {
			c.Set(given.key, given.value, config.Source{Flag: "--" + given.flag})
		}
	}
	value := shownConfig{Files: list(c.Files()), DriverOptions: list(c.DriverOptions())}
	for _, setting := range c.Settings() {
		shown := shownSetting{Key: setting.Key, Value: setting.Value, Source: setting.Source, Effect: effect(c, setting)}
		if _, err := c.Path(setting.Key); err != nil && setting.Value == "" {
			shown.Error = err.Error()
		}
		value.Settings = append(value.Settings, shown)
	}
	if s.json {
		return s.writeJSON(value)
	}
	return s.writeConfig(&value)
}

// effect says what comes of a setting.
func effect(c *config.Config, setting config.Setting) config.Status {
	status := c.Status(setting)
	if setting.Key != config.Driver || status != config.Used || setting.Value == "" {
		return status
	}
	if _, err := builtin.Registry().Canonical(fmt.Sprint(setting.Value)); err != nil {
		return config.Unsupported
	}
	return status
}

func (s *session) writeConfig(v *shownConfig) error {
	for _, file := range v.Files {
		fmt.Fprintf(s.Stdout, "Read %s\n", clean(file))
	}
	if len(v.Files) == 0 {
		fmt.Fprintln(s.Stdout, "No file has been read.")
	}
	fmt.Fprintln(s.Stdout)
	w := s.table()
	fmt.Fprintln(w, "KEY\tVALUE\tFROM\tEFFECT")
	for _, one := range v.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", clean(string(one.Key)), clean(settingText(one.Value)), clean(one.Source.String()), one.Effect)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, one := range v.Settings {
		if one.Error != "" {
			fmt.Fprintf(s.Stdout, "\nNot known: %s\n", clean(one.Error))
		}
	}
	return nil
}

// settingText writes a value of the configuration in one line.
func settingText(value any) string {
	text := ""
	switch value := value.(type) {
	case nil:
	case []string:
		text = strings.Join(value, ", ")
	case map[string]string:
		parts := make([]string, 0, len(value))
		for _, name := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, name+"="+value[name])
		}
		text = strings.Join(parts, ", ")
	default:
		text = fmt.Sprint(value)
	}
	if text == "" {
		return "-"
	}
	return text
}
