package overlay_test

import (
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
)

// The label of a container has categories, and so a comma.
func TestLabelsBecomeMountOptionsWhereSELinuxIsEnabled(t *testing.T) {
	const label = "system_u:object_r:container_file_t:s0:c10,c200"
	for name, test := range map[string]struct {
		construct drivers.Constructor
		opts      drivers.MountOptions
		want      string
	}{
		"enabled":              {overlay.OpenWithSELinux, drivers.MountOptions{Label: label}, `,context="` + label + `"`},
		"enabled, with option": {overlay.OpenWithSELinux, drivers.MountOptions{Label: label, Options: []string{"index=on"}}, `,index=on,context="` + label + `"`},
		"enabled, no comma":    {overlay.OpenWithSELinux, drivers.MountOptions{Label: "a:b:c:s0"}, `,context=a:b:c:s0`},
		"enabled, no label":    {overlay.OpenWithSELinux, drivers.MountOptions{}, ""},
		"disabled":             {overlay.OpenWithoutSELinux, drivers.MountOptions{Label: label}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			driver := openIn(t, test.construct, newHome(t))
			got, err := overlay.MountData(driver, test.opts)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
