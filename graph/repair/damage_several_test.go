package repair_test

import (
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph/fsck"
)

// combinations are several damages at once.
func combinations() []damage {
	unnamed := inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "names/layer", "upper") })
	lost := inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "layers", "side") })
	return []damage{
		{
			name: "database and files", do: all(unnamed, write("%-images/x/y", ""), chmod(manifest, 0o644)),
			steps:  []string{mend, "move %-images/x/y to lost+found", "set the mode of " + manifest + " to 0600"},
			mended: []string{"DB-INDEX names/layer/upper", "STRAY %-images/x/y", "DATA-ACCESS " + manifest},
		},
		{
			name: "what can be mended beside what cannot", do: all(lost, unnamed, remove(manifest), chmod(db.FileName, 0o640), write("@nobody/file", "")),
			steps:  []string{mend, "set the mode of csdb.db to 0600", "move @nobody to lost+found"},
			mended: []string{"DB-INDEX names/layer/upper", "DB-MODE csdb.db", "STRAY @nobody"},
			left:   []string{"DB-RECORD layers/side", "DATA-MISSING " + manifest},
		},
		{
			name: "one file is healed and another cannot be", depth: fsck.Contents,
			do:     all(remove(manifest), func(t *testing.T, s *sample) { flip(t, s.contentOf("side", "side")) }, unnamed),
			source: func(*testing.T) []byte { return []byte("{}") },
			steps:  []string{mend, "bring back " + manifest + " from SOURCE"},
			mended: []string{"DATA-MISSING " + manifest, "DB-INDEX names/layer/upper"},
			left:   []string{"LAYER-CONTENT @side"},
		},
		{
			name: "file and short name of a layer that is above another", driver: "overlay",
			do: on("top", func(top string) func(*testing.T, *sample) {
				return all(write("overlay/side/link", "?"), remove("overlay/l/"+top), remove("overlay/web-rw/work"))
			}),
			steps: []string{
				`write "LINK-OF-side" into overlay/side/link`, "make overlay/l/LINK-OF-top a symbolic link to ../top/diff",
				"make the directory overlay/web-rw/work",
			},
			mended: []string{"OVERLAY-LINK overlay/side/link", "OVERLAY-NAME overlay/l/LINK-OF-top", "OVERLAY-PARTS overlay/web-rw/work"},
		},
		{
			name: "short names and lists of ancestors are missing", driver: "overlay",
			do: all(remove("overlay/l"), remove("overlay/top/lower"), remove("overlay/web-rw/lower")),
			steps: []string{
				"make overlay/l/LINK-OF-base a symbolic link to ../base/diff", "make overlay/l/LINK-OF-top a symbolic link to ../top/diff",
				"make overlay/l/LINK-OF-side a symbolic link to ../side/diff", "make overlay/l/LINK-OF-web-rw a symbolic link to ../web-rw/diff",
				`write "l/LINK-OF-base" into overlay/top/lower`, `write "l/LINK-OF-top:l/LINK-OF-base" into overlay/web-rw/lower`,
			},
			mended: []string{
				"OVERLAY-NAME overlay/l/LINK-OF-base", "OVERLAY-NAME overlay/l/LINK-OF-top",
				"OVERLAY-NAME overlay/l/LINK-OF-side", "OVERLAY-NAME overlay/l/LINK-OF-web-rw",
				"OVERLAY-LOWER overlay/top/lower", "OVERLAY-LOWER overlay/web-rw/lower",
			},
		},
		{
			name: "a stray in the place of a short name's directory", driver: "overlay", do: write("overlay/l", "text"),
			steps: []string{
				"move overlay/l to lost+found",
				"make overlay/l/LINK-OF-base a symbolic link to ../base/diff", "make overlay/l/LINK-OF-top a symbolic link to ../top/diff",
				"make overlay/l/LINK-OF-side a symbolic link to ../side/diff", "make overlay/l/LINK-OF-web-rw a symbolic link to ../web-rw/diff",
			},
			mended: []string{
				"STRAY overlay/l", "OVERLAY-NAME overlay/l/LINK-OF-base", "OVERLAY-NAME overlay/l/LINK-OF-top",
				"OVERLAY-NAME overlay/l/LINK-OF-side", "OVERLAY-NAME overlay/l/LINK-OF-web-rw",
			},
		},
	}
}
