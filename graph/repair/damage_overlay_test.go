package repair_test

import (
	"strings"
	"testing"
)

// overlayDamage is what can happen to the directories of driver overlay.
func overlayDamage() []damage {
	const wrong = "l/" + nobody
	// lower has the file lower of layer top changed.
	lower := func(name string, do func(*testing.T, *sample)) damage {
		return damage{
			name: name, do: do,
			steps: []string{`write "l/LINK-OF-base" into overlay/top/lower`}, mended: []string{"OVERLAY-LOWER overlay/top/lower"},
		}
	}
	cases := []damage{
		{name: "content is missing", do: remove("overlay/side/diff"), left: []string{"OVERLAY-DIFF overlay/side/diff"}},
		{name: "file in place of the content", do: write("overlay/side/diff", ""), left: []string{"OVERLAY-DIFF overlay/side/diff"}},
		{
			name: "work is missing", do: remove("overlay/web-rw/work"),
			steps: []string{"make the directory overlay/web-rw/work"}, mended: []string{"OVERLAY-PARTS overlay/web-rw/work"},
		},
		{
			name: "mount point is missing", do: remove("overlay/web-rw/merged"),
			steps: []string{"make the directory overlay/web-rw/merged"}, mended: []string{"OVERLAY-PARTS overlay/web-rw/merged"},
		},
		{name: "file in place of work", do: write("overlay/web-rw/work", ""), left: []string{"OVERLAY-PARTS overlay/web-rw/work"}},
		lower("list of ancestors is missing", remove("overlay/top/lower")),
		lower("list of ancestors is empty", write("overlay/top/lower", "")),
		lower("list of ancestors is wrong", write("overlay/top/lower", wrong)),
		lower("list of ancestors leads out", write("overlay/top/lower", "/etc:../..")),
		lower("list of ancestors is too long", on("base", func(base string) func(*testing.T, *sample) {
			return write("overlay/top/lower", "l/"+base+":"+wrong)
		})),
		lower("directory in place of the list of ancestors", makeDir("overlay/top/lower")),
		lower("symbolic link in place of the list of ancestors", link("/etc/passwd", "overlay/top/lower")),
		{
			name: "base layer has a list of ancestors", do: write("overlay/base/lower", wrong),
			steps: []string{"move overlay/base/lower to lost+found"}, mended: []string{"OVERLAY-LOWER overlay/base/lower"},
		},
		{
			name: "list of ancestors is short", do: on("top", func(top string) func(*testing.T, *sample) { return write("overlay/web-rw/lower", "l/"+top) }),
			steps: []string{`write "l/LINK-OF-top:l/LINK-OF-base" into overlay/web-rw/lower`}, mended: []string{"OVERLAY-LOWER overlay/web-rw/lower"},
		},
	}
	return onOverlay(cases)
}

// nameDamage is what can happen to the short names of driver overlay.
func nameDamage() []damage {
	// file has the file link of layer top changed.
	file := func(name string, do func(*testing.T, *sample)) damage {
		return damage{
			name: name, do: do,
			steps: []string{`write "LINK-OF-top" into overlay/top/link`}, mended: []string{"OVERLAY-LINK overlay/top/link"},
		}
	}
	// short has the symbolic link of layer top changed.
	short := func(name string, do func(path string) func(*testing.T, *sample)) damage {
		return damage{
			name: name, do: on("top", func(top string) func(*testing.T, *sample) { return do("overlay/l/" + top) }),
			steps: []string{"make overlay/l/LINK-OF-top a symbolic link to ../top/diff"}, mended: []string{"OVERLAY-NAME overlay/l/LINK-OF-top"},
		}
	}
	to := func(target string) func(string) func(*testing.T, *sample) {
		return func(path string) func(*testing.T, *sample) { return link(target, path) }
	}
	var steps, mended []string
	for _, layer := range layers {
		steps = append(steps, strings.ReplaceAll("make overlay/l/LINK-OF-% a symbolic link to ../%/diff", "%", layer))
		mended = append(mended, "OVERLAY-NAME overlay/l/LINK-OF-"+layer)
	}
	return onOverlay([]damage{
		file("file link is missing", remove("overlay/top/link")),
		file("file link is empty", write("overlay/top/link", "")),
		file("file link is no short name", write("overlay/top/link", "../../../../etc/passwd")),
		file("file link has an unknown name", write("overlay/top/link", nobody)),
		file("file link has the name of another layer", on("side", func(side string) func(*testing.T, *sample) { return write("overlay/top/link", side) })),
		file("directory in place of the file link", makeDir("overlay/top/link")),
		file("symbolic link in place of the file link", link("/etc/passwd", "overlay/top/link")),
		file("pipe in place of the file link", pipe("overlay/top/link")),
		short("short name is missing", remove),
		short("short name leads to another layer", to("../side/diff")),
		short("short name leads out", to("/etc")),
		short("file in place of a short name", func(path string) func(*testing.T, *sample) { return write(path, "") }),
		short("directory in place of a short name", makeDir),
		{name: "short names are missing", do: remove("overlay/l"), steps: steps, mended: mended},
		{
			name: "short name is lost on both sides", do: on("top", func(top string) func(*testing.T, *sample) {
				return all(remove("overlay/top/link"), remove("overlay/l/"+top))
			}),
			steps: []string{
				`write "SPARE-OF-top" into overlay/top/link`, "make overlay/l/SPARE-OF-top a symbolic link to ../top/diff",
				`write "l/SPARE-OF-top:l/LINK-OF-base" into overlay/web-rw/lower`,
			},
			mended: []string{"OVERLAY-LINK overlay/top/link", "OVERLAY-NAME overlay/l/SPARE-OF-top", "OVERLAY-LOWER overlay/web-rw/lower"},
		},
		{name: "second short name is no damage", do: link("../top/diff", "overlay/l/"+nobody)},
		{
			name: "short name of nobody", do: link("../gone/diff", "overlay/l/"+nobody),
			steps: []string{"move overlay/l/" + nobody + " to lost+found"}, mended: []string{"STRAY overlay/l/" + nobody},
		},
		{
			name: "file among the short names", do: write("overlay/l/notes", "text"),
			steps: []string{"move overlay/l/notes to lost+found"}, mended: []string{"STRAY overlay/l/notes"},
		},
		{
			name: "layer was being made", do: all(makeDir("overlay/.part-new/diff"), link("../new/diff", "overlay/l/"+nobody)),
			steps:  []string{"move overlay/.part-new to lost+found", "move overlay/l/" + nobody + " to lost+found"},
			mended: []string{"STRAY overlay/.part-new", "STRAY overlay/l/" + nobody},
		},
	})
}

func onOverlay(cases []damage) []damage {
	for i := range cases {
		cases[i].driver = "overlay"
	}
	return cases
}
